// CBOR (RFC 8949) from untrusted bytes and to bytes, over libcbor's stream decoder: libcbor reads
// one head at a time, and what is allocated, how deep and how much is decided here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::cbor {

enum class Kind : std::uint8_t {
  kUnsigned,
  kNegative,
  kBytes,
  kText,
  kArray,
  kMap,
  kTag,
  kBool,
  kNull,
};
[[nodiscard]] std::string_view kind_name(Kind kind);

struct Value {
  Kind kind = Kind::kNull;
  // The number itself; of kNegative n, which stands for -1 - n; the tag's number; 0 or 1 of kBool.
  std::uint64_t number = 0;
  Bytes bytes;  // also a text's, which is UTF-8
  // Of an array its items, of a map key and value in turns, of a tag what it stands before.
  std::vector<Value> items;

  [[nodiscard]] bool is(Kind other) const { return kind == other; }
  [[nodiscard]] bool is_tag(std::uint64_t tag) const { return kind == Kind::kTag && number == tag; }
  [[nodiscard]] std::string_view text() const { return as_text(bytes); }
  // Of a map with that integer key; null when there is none, or this is no map.
  [[nodiscard]] const Value* find(std::uint64_t key) const;
};

struct Limits {
  std::size_t max_bytes = std::size_t{8} << 20U;
  std::size_t max_depth = 16;
  std::size_t max_items = 100000;
};

// Exactly one value, without trailing bytes. kInvalidArgument, with the offset, for what is
// malformed and for what none of our formats needs: indefinite lengths, floating point, undefined
// and other simple values, text that is no UTF-8, keys that are neither integer nor text, a key
// twice. kResourceExhausted over a limit.
[[nodiscard]] Result<Value> parse(BytesView bytes, std::string_view what,
                                  const Limits& limits = {});

// Appends in the shortest form; the caller keeps to the counts it has announced.
class Writer {
 public:
  Writer& number(std::int64_t value);
  Writer& bytes(BytesView value);
  Writer& text(std::string_view value);
  Writer& array(std::size_t count);
  Writer& map(std::size_t pairs);
  Writer& tag(std::uint64_t number);
  [[nodiscard]] const Bytes& out() const { return out_; }

 private:
  void append(BytesView value);
  Bytes out_;
};

}  // namespace coffer::cbor
