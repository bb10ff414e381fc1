#include "rpc/ttrpc/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace coffer::rpc {
namespace {

std::string bytes_of(const FrameHeader& header, const std::string& payload = {}) {
  const auto bytes = encode_header(header);
  return std::string(bytes.data(), bytes.size()) + payload;
}

// Feeds `stream` in pieces of at most `step` bytes.
std::vector<Frame> decode(const std::string& stream, std::size_t step, std::uint32_t limit,
                          FrameDecoder* with = nullptr) {
  FrameDecoder own(limit, 64);
  FrameDecoder& decoder = with != nullptr ? *with : own;
  std::vector<Frame> frames;
  std::size_t at = 0;
  while (at < stream.size()) {
    const auto room = decoder.buffer();
    const std::size_t count = std::min({step, room.size(), stream.size() - at});
    std::copy_n(stream.data() + at, count, room.data());
    decoder.commit(count);
    at += count;
    while (auto frame = decoder.next()) frames.push_back(*std::move(frame));
  }
  return frames;
}

TEST(FrameHeader, HasTheWireLayout) {
  const FrameHeader header{.length = 0x01020304, .stream_id = 0x05060708, .type = 2, .flags = 5};
  const auto bytes = encode_header(header);
  EXPECT_EQ(to_hex(as_bytes({bytes.data(), bytes.size()})), "01020304050607080205");
  EXPECT_EQ(decode_header(bytes), header);
  EXPECT_TRUE(header.has(kRemoteClosed));
  EXPECT_FALSE(header.has(kRemoteOpen));
  EXPECT_TRUE(header.has(kNoData));
}

TEST(FrameDecoder, GivesTheSameFramesHoweverTheBytesArrive) {
  const std::string big(1000, 'b');
  const std::string stream = bytes_of({.length = 0, .stream_id = 1, .type = 1}) +
                             bytes_of({.length = 3, .stream_id = 3, .type = 2}, "abc") +
                             bytes_of({.length = 1000, .stream_id = 5, .type = 3}, big) +
                             bytes_of({.length = 1, .stream_id = 7, .type = 99, .flags = 255}, "z");
  for (const std::size_t step : {1UL, 2UL, 3UL, 9UL, 10UL, 11UL, 63UL, 64UL, 65UL, 5000UL}) {
    const auto frames = decode(stream, step, 2000);
    ASSERT_EQ(frames.size(), 4U) << step;
    EXPECT_EQ(frames[0].payload, "");
    EXPECT_EQ(frames[1].payload, "abc");
    EXPECT_EQ(frames[2].payload, big);
    EXPECT_EQ(frames[3].header.type, 99);
    EXPECT_EQ(frames[3].header.flags, 255);
  }
}

// A string grows to more than was asked for.
TEST(FrameDecoder, GivesPayloadsOfEverySmallLength) {
  for (std::uint32_t length = 0; length < 100; ++length) {
    const auto frames = decode(
        bytes_of({.length = length, .stream_id = 1, .type = 1}, std::string(length, 'x')), 50, 100);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].payload, std::string(length, 'x'));
  }
}

TEST(FrameDecoder, ThrowsAwayExactlyTheOversizedPayload) {
  const std::string stream =
      bytes_of({.length = 100, .stream_id = 1, .type = 1}, std::string(100, 'x')) +
      bytes_of({.length = 101, .stream_id = 3, .type = 1}, std::string(101, 'y')) +
      bytes_of({.length = 2, .stream_id = 5, .type = 1}, "ok");
  for (const std::size_t step : {1UL, 7UL, 64UL, 1000UL}) {
    const auto frames = decode(stream, step, 100);
    ASSERT_EQ(frames.size(), 3U) << step;
    EXPECT_FALSE(frames[0].oversized);
    EXPECT_EQ(frames[0].payload.size(), 100U);
    EXPECT_TRUE(frames[1].oversized);
    EXPECT_EQ(frames[1].header.length, 101U);
    EXPECT_TRUE(frames[1].payload.empty());
    EXPECT_EQ(frames[2].payload, "ok");
  }
}

TEST(FrameDecoder, KnowsWhetherItStandsWithinAFrame) {
  FrameDecoder decoder(100);
  EXPECT_FALSE(decoder.in_frame());
  decode(bytes_of({.length = 3, .type = 1}).substr(0, 4), 10, 100, &decoder);
  EXPECT_TRUE(decoder.in_frame());
  decode(bytes_of({.length = 3, .type = 1}).substr(4) + "ab", 10, 100, &decoder);
  EXPECT_TRUE(decoder.in_frame());
  EXPECT_EQ(decode("c", 10, 100, &decoder).size(), 1U);
  EXPECT_FALSE(decoder.in_frame());
}

}  // namespace
}  // namespace coffer::rpc
