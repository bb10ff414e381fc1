// A small strict reader of DER (ITU-T X.690): definite, minimal lengths, single-byte tags, every
// length within its parent. It does not recurse: the caller opens what it wants to look into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tee {

// Identifier octets (X.690 section 8.1.2), universal class unless said.
enum class DerTag : std::uint8_t {
  kBoolean = 0x01,
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kNull = 0x05,
  kOid = 0x06,
  kEnumerated = 0x0A,
  kUtf8String = 0x0C,
  kPrintableString = 0x13,
  kIa5String = 0x16,
  kSequence = 0x30,
  kSet = 0x31,
};

struct DerValue {
  std::uint8_t tag = 0;
  BytesView content;  // without tag and length
  BytesView whole;    // with them
  [[nodiscard]] bool is(DerTag want) const { return tag == static_cast<std::uint8_t>(want); }
};

class DerReader {
 public:
  // `bytes` must outlive the reader and the values; `what` names the structure in errors.
  DerReader(BytesView bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  [[nodiscard]] bool at_end() const { return offset_ == bytes_.size(); }
  // The next value; kInvalidArgument when it is malformed or does not fit.
  [[nodiscard]] Result<DerValue> next();
  // The next value, which must have that tag.
  [[nodiscard]] Result<BytesView> expect(DerTag tag);
  // The content of the next value as a reader: a SEQUENCE or SET.
  [[nodiscard]] Result<DerReader> enter(DerTag tag);
  // A non-negative INTEGER or ENUMERATED, minimally encoded, at most 8 octets of value.
  [[nodiscard]] Result<std::uint64_t> unsigned_integer(DerTag tag = DerTag::kInteger);
  [[nodiscard]] Result<bool> boolean();
  // Dotted text: "1.3.6.1.4.1.3704.1.3.1". At most 32 arcs of at most 64 bits.
  [[nodiscard]] Result<std::string> oid();
  [[nodiscard]] Status expect_end() const;

 private:
  [[nodiscard]] std::unexpected<Error> bad(std::string_view why) const;
  [[nodiscard]] Result<std::size_t> length(std::size_t& at) const;

  BytesView bytes_;
  std::string_view what_;
  std::size_t offset_ = 0;
};

// Dotted text of OBJECT IDENTIFIER content octets; kInvalidArgument when malformed.
[[nodiscard]] Result<std::string> oid_text(BytesView content);

}  // namespace coffer::tee
