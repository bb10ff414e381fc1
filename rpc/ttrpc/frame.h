// ttrpc frames: bytes to frames and back, without I/O.
//
// Wire format (ttrpc 1.2, PROTOCOL.md): u32 BE payload length, u32 BE stream id, u8 type, u8 flags,
// payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace coffer::rpc {

inline constexpr std::size_t kFrameHeaderSize = 10;

enum FrameType : std::uint8_t { kRequest = 1, kResponse = 2, kData = 3 };
enum FrameFlag : std::uint8_t { kRemoteClosed = 1, kRemoteOpen = 2, kNoData = 4 };

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint32_t stream_id = 0;
  std::uint8_t type = 0;  // may be one that we do not know
  std::uint8_t flags = 0;

  [[nodiscard]] bool has(FrameFlag flag) const { return (flags & flag) != 0; }
  bool operator==(const FrameHeader&) const = default;
};

[[nodiscard]] std::array<char, kFrameHeaderSize> encode_header(const FrameHeader& header);
[[nodiscard]] FrameHeader decode_header(std::span<const char, kFrameHeaderSize> bytes);

struct Frame {
  FrameHeader header;
  std::string payload;     // header.length bytes, or none when oversized
  bool oversized = false;  // longer than allowed: its payload was read and thrown away
};

// Cuts a byte stream into frames. The caller reads straight into buffer(), so that a large payload
// is never copied:
//
//   n = read(fd, decoder.buffer()); decoder.commit(n); while (auto frame = decoder.next()) ...
//
// Any bytes at all are a sequence of frames: there is nothing to resynchronise on, and a stream
// that has lost its place can only be closed. Memory is bounded by `max_payload` and the read
// buffer.
class FrameDecoder {
 public:
  explicit FrameDecoder(std::uint32_t max_payload,
                        std::size_t buffer_size = std::size_t{16} << 10U);

  // Where the next bytes belong; never empty. Valid until the next call of anything here.
  [[nodiscard]] std::span<char> buffer();
  // `count` bytes were put at the start of buffer().
  void commit(std::size_t count);
  // The next whole frame. Call until it has none before asking for buffer() again.
  [[nodiscard]] std::optional<Frame> next();
  // Bytes of a frame are there, but not all.
  [[nodiscard]] bool in_frame() const { return in_payload_ || begin_ != end_; }

 private:
  bool take_header();

  std::uint32_t max_payload_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what is in buffer_ and not yet taken
  std::size_t end_ = 0;
  bool in_payload_ = false;
  Frame frame_;             // when in_payload_
  std::size_t filled_ = 0;  // of its payload: read, or thrown away
};

}  // namespace coffer::rpc
