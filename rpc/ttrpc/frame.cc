#include "rpc/ttrpc/frame.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace coffer::rpc {
namespace {

void put_u32(char* out, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) out[i] = static_cast<char>((value >> (24 - 8 * i)) & 0xFFU);
}

std::uint32_t get_u32(const char* in) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) value = (value << 8U) | static_cast<std::uint8_t>(in[i]);
  return value;
}

}  // namespace

std::array<char, kFrameHeaderSize> encode_header(const FrameHeader& header) {
  std::array<char, kFrameHeaderSize> bytes{};
  put_u32(bytes.data(), header.length);
  put_u32(bytes.data() + 4, header.stream_id);
  bytes[8] = static_cast<char>(header.type);
  bytes[9] = static_cast<char>(header.flags);
  return bytes;
}

FrameHeader decode_header(std::span<const char, kFrameHeaderSize> bytes) {
  return {.length = get_u32(bytes.data()),
          .stream_id = get_u32(bytes.data() + 4),
          .type = static_cast<std::uint8_t>(bytes[8]),
          .flags = static_cast<std::uint8_t>(bytes[9])};
}

FrameDecoder::FrameDecoder(std::uint32_t max_payload, std::size_t buffer_size)
    : max_payload_(max_payload), buffer_(std::max(buffer_size, kFrameHeaderSize), '\0') {}

std::span<char> FrameDecoder::buffer() {
  if (in_payload_ && !frame_.oversized) {
    check(begin_ == end_, "frame decoder: asked for room before its frames were taken");
    return {frame_.payload.data() + filled_, frame_.header.length - filled_};
  }
  if (begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  check(end_ < buffer_.size(), "frame decoder: asked for room before its frames were taken");
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void FrameDecoder::commit(std::size_t count) {
  (in_payload_ && !frame_.oversized ? filled_ : end_) += count;
}

bool FrameDecoder::take_header() {
  if (end_ - begin_ < kFrameHeaderSize) return false;
  frame_ = Frame();
  frame_.header = decode_header(
      std::span<const char, kFrameHeaderSize>(buffer_.data() + begin_, kFrameHeaderSize));
  begin_ += kFrameHeaderSize;
  frame_.oversized = frame_.header.length > max_payload_;
  filled_ = 0;
  in_payload_ = true;
  // At most max_payload_, whatever the header says; not zeroed, since it is about to be filled.
  // libstdc++ 12 hands the callback the capacity, not the size that was asked for.
  const std::size_t size = frame_.oversized ? 0 : frame_.header.length;
  frame_.payload.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
  return true;
}

std::optional<Frame> FrameDecoder::next() {
  if (!in_payload_ && !take_header()) return std::nullopt;
  const std::size_t count = std::min(frame_.header.length - filled_, end_ - begin_);
  if (!frame_.oversized && count > 0) {
    std::memcpy(frame_.payload.data() + filled_, buffer_.data() + begin_, count);
  }
  begin_ += count;
  filled_ += count;
  if (filled_ < frame_.header.length) return std::nullopt;
  in_payload_ = false;
  return std::exchange(frame_, {});
}

}  // namespace coffer::rpc
