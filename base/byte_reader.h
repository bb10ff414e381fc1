// The one way to read integers and fields out of untrusted bytes: bounds checked, endianness named,
// and the remaining length always known. No struct is ever cast onto such bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer {

class ByteReader {
 public:
  // `bytes` must outlive the reader and every view taken from it. `what` names the thing being read
  // in errors ("SNP report") and must outlive the reader too.
  ByteReader(BytesView bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - offset_; }
  [[nodiscard]] bool at_end() const { return remaining() == 0; }

  // Each fails with kInvalidArgument ("read SNP report: need 4 bytes at offset 12, have 2") and
  // then leaves the position unchanged.
  [[nodiscard]] Result<std::uint8_t> u8();
  [[nodiscard]] Result<std::uint16_t> u16_le();
  [[nodiscard]] Result<std::uint32_t> u32_le();
  [[nodiscard]] Result<std::uint64_t> u64_le();
  [[nodiscard]] Result<std::uint16_t> u16_be();
  [[nodiscard]] Result<std::uint32_t> u32_be();
  [[nodiscard]] Result<std::uint64_t> u64_be();
  [[nodiscard]] Result<BytesView> take(std::size_t count);
  [[nodiscard]] Status skip(std::size_t count);
  [[nodiscard]] Status seek(std::size_t offset);
  // The rest, which may be empty.
  [[nodiscard]] BytesView rest();
  // kInvalidArgument when bytes are left over.
  [[nodiscard]] Status expect_end() const;

 private:
  [[nodiscard]] Result<std::uint64_t> integer(std::size_t size, bool little);

  BytesView bytes_;
  std::string_view what_;
  std::size_t offset_ = 0;
};

}  // namespace coffer
