// Netlink messages: building requests, and reading what the kernel (or, in a fuzzer, anybody)
// sends. Layout: linux/netlink.h (struct nlmsghdr, struct nlattr), man 7 netlink and rtnetlink;
// host byte order, everything padded to 4 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "base/bytes.h"
#include "base/error.h"

namespace coffer::netlink {

// Builds one request. Attributes nest by begin() and end().
class MessageBuilder {
 public:
  // `type` is RTM_*, `flags` NLM_F_* (NLM_F_REQUEST is added).
  MessageBuilder(std::uint16_t type, std::uint16_t flags);

  MessageBuilder& u8(std::uint8_t value);
  MessageBuilder& u16(std::uint16_t value);
  MessageBuilder& u32(std::uint32_t value);
  MessageBuilder& i32(std::int32_t value) { return u32(static_cast<std::uint32_t>(value)); }
  MessageBuilder& zeros(std::size_t count);

  MessageBuilder& attribute(std::uint16_t type, BytesView payload);
  MessageBuilder& attribute_u16(std::uint16_t type, std::uint16_t value);
  MessageBuilder& attribute_u32(std::uint16_t type, std::uint32_t value);
  // With its terminating NUL.
  MessageBuilder& attribute_string(std::uint16_t type, std::string_view text);
  MessageBuilder& begin(std::uint16_t type);
  MessageBuilder& end();

  // Completes the length and takes the bytes; the sequence number is filled in when sent.
  [[nodiscard]] Bytes finish();

 private:
  void pad();
  Bytes bytes_;
  std::vector<std::size_t> open_;
};

struct Message {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  BytesView payload;  // after the header; lives as long as the datagram
};

// Cuts a datagram into messages. kInvalidArgument on a length that does not fit.
[[nodiscard]] Result<std::vector<Message>> split_messages(BytesView datagram);

struct Attribute {
  std::uint16_t type = 0;  // without the nested and byte-order bits
  BytesView payload;

  [[nodiscard]] Result<std::uint8_t> u8() const;
  [[nodiscard]] Result<std::uint16_t> u16() const;
  [[nodiscard]] Result<std::uint32_t> u32() const;
  // Up to the first NUL.
  [[nodiscard]] std::string text() const;
};

// Reads a run of attributes. kInvalidArgument on a length that does not fit.
[[nodiscard]] Result<std::vector<Attribute>> split_attributes(BytesView bytes);

// NLMSG_ERROR (also the one that means "done", with errno 0).
struct Acknowledgement {
  int error = 0;        // errno, positive
  std::string message;  // the kernel's own words (NLMSGERR_ATTR_MSG), or ""
};
[[nodiscard]] Result<Acknowledgement> parse_acknowledgement(const Message& message);

}  // namespace coffer::netlink
