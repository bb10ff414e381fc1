#include "base/byte_reader.h"

#include <fmt/format.h>

namespace coffer {

Result<BytesView> ByteReader::take(std::size_t count) {
  if (count > remaining()) {
    return fail(Code::kInvalidArgument, fmt::format("read {}: need {} bytes at offset {}, have {}",
                                                    what_, count, offset_, remaining()));
  }
  const BytesView view = bytes_.subspan(offset_, count);
  offset_ += count;
  return view;
}

Result<std::uint64_t> ByteReader::integer(std::size_t size, bool little) {
  COFFER_TRY(const BytesView view, take(size));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = (value << 8U) | view[little ? size - 1 - i : i];
  }
  return value;
}

Result<std::uint8_t> ByteReader::u8() {
  COFFER_TRY(const auto value, integer(1, true));
  return static_cast<std::uint8_t>(value);
}
Result<std::uint16_t> ByteReader::u16_le() {
  COFFER_TRY(const auto value, integer(2, true));
  return static_cast<std::uint16_t>(value);
}
Result<std::uint32_t> ByteReader::u32_le() {
  COFFER_TRY(const auto value, integer(4, true));
  return static_cast<std::uint32_t>(value);
}
Result<std::uint64_t> ByteReader::u64_le() { return integer(8, true); }
Result<std::uint16_t> ByteReader::u16_be() {
  COFFER_TRY(const auto value, integer(2, false));
  return static_cast<std::uint16_t>(value);
}
Result<std::uint32_t> ByteReader::u32_be() {
  COFFER_TRY(const auto value, integer(4, false));
  return static_cast<std::uint32_t>(value);
}
Result<std::uint64_t> ByteReader::u64_be() { return integer(8, false); }

Status ByteReader::skip(std::size_t count) {
  COFFER_TRY_VOID(take(count));
  return {};
}

Status ByteReader::seek(std::size_t offset) {
  if (offset > bytes_.size()) {
    return fail(Code::kInvalidArgument, fmt::format("read {}: offset {} is past the end ({} bytes)",
                                                    what_, offset, bytes_.size()));
  }
  offset_ = offset;
  return {};
}

BytesView ByteReader::rest() {
  const BytesView view = bytes_.subspan(offset_);
  offset_ = bytes_.size();
  return view;
}

Status ByteReader::expect_end() const {
  if (at_end()) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("read {}: {} bytes left over at offset {}", what_, remaining(), offset_));
}

}  // namespace coffer
