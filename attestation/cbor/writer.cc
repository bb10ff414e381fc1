#include <cbor.h>

#include <array>

#include "attestation/cbor/value.h"

namespace coffer::cbor {
namespace {

constexpr std::size_t kMaxHead = 9;

// By one of libcbor's encoders of heads.
template <typename Number>
Bytes head(std::size_t (*encode)(Number, unsigned char*, std::size_t), Number value) {
  std::array<unsigned char, kMaxHead> out{};
  const std::size_t size = encode(value, out.data(), out.size());
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

void Writer::append(BytesView value) { out_.insert(out_.end(), value.begin(), value.end()); }

Writer& Writer::number(std::int64_t value) {
  append(value >= 0 ? head(cbor_encode_uint, static_cast<std::uint64_t>(value))
                    : head(cbor_encode_negint, static_cast<std::uint64_t>(-1 - value)));
  return *this;
}

Writer& Writer::bytes(BytesView value) {
  append(head(cbor_encode_bytestring_start, value.size()));
  append(value);
  return *this;
}

Writer& Writer::text(std::string_view value) {
  append(head(cbor_encode_string_start, value.size()));
  append(as_bytes(value));
  return *this;
}

Writer& Writer::array(std::size_t count) {
  append(head(cbor_encode_array_start, count));
  return *this;
}

Writer& Writer::map(std::size_t pairs) {
  append(head(cbor_encode_map_start, pairs));
  return *this;
}

Writer& Writer::tag(std::uint64_t number) {
  append(head(cbor_encode_tag, number));
  return *this;
}

}  // namespace coffer::cbor
