#include "base/netlink/message.h"

#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace coffer::netlink {
namespace {

static_assert(std::endian::native == std::endian::little, "netlink is in host order; so are we");

constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kAttributeHeaderBytes = 4;
constexpr std::size_t kAlign = 4;

std::size_t aligned(std::size_t size) { return (size + kAlign - 1) / kAlign * kAlign; }

void put_u16(Bytes& bytes, std::size_t at, std::size_t value) {
  check(value <= UINT16_MAX, "a netlink attribute of ours is too long");
  bytes[at] = static_cast<std::uint8_t>(value);
  bytes[at + 1] = static_cast<std::uint8_t>(value >> 8U);
}

}  // namespace

MessageBuilder::MessageBuilder(std::uint16_t type, std::uint16_t flags) {
  u32(0).u16(type).u16(static_cast<std::uint16_t>(flags | NLM_F_REQUEST)).u32(0).u32(0);
}

MessageBuilder& MessageBuilder::u8(std::uint8_t value) {
  bytes_.push_back(value);
  return *this;
}

MessageBuilder& MessageBuilder::u16(std::uint16_t value) {
  return u8(static_cast<std::uint8_t>(value)).u8(static_cast<std::uint8_t>(value >> 8U));
}

MessageBuilder& MessageBuilder::u32(std::uint32_t value) {
  return u16(static_cast<std::uint16_t>(value)).u16(static_cast<std::uint16_t>(value >> 16U));
}

MessageBuilder& MessageBuilder::zeros(std::size_t count) {
  bytes_.resize(bytes_.size() + count);
  return *this;
}

void MessageBuilder::pad() { bytes_.resize(aligned(bytes_.size())); }

MessageBuilder& MessageBuilder::attribute(std::uint16_t type, BytesView payload) {
  begin(type);
  bytes_.insert(bytes_.end(), payload.begin(), payload.end());
  return end();
}

MessageBuilder& MessageBuilder::attribute_u16(std::uint16_t type, std::uint16_t value) {
  return begin(type).u16(value).end();
}

MessageBuilder& MessageBuilder::attribute_u32(std::uint16_t type, std::uint32_t value) {
  return begin(type).u32(value).end();
}

MessageBuilder& MessageBuilder::attribute_string(std::uint16_t type, std::string_view text) {
  begin(type);
  for (const char c : text) u8(static_cast<std::uint8_t>(c));
  return u8(0).end();
}

MessageBuilder& MessageBuilder::begin(std::uint16_t type) {
  pad();
  open_.push_back(bytes_.size());
  return u16(0).u16(type);
}

MessageBuilder& MessageBuilder::end() {
  check(!open_.empty(), "MessageBuilder::end without begin");
  put_u16(bytes_, open_.back(), bytes_.size() - open_.back());
  open_.pop_back();
  pad();
  return *this;
}

Bytes MessageBuilder::finish() {
  check(open_.empty(), "MessageBuilder::finish inside an attribute");
  pad();
  put_u16(bytes_, 0, bytes_.size());
  return std::move(bytes_);
}

Result<std::vector<Message>> split_messages(BytesView datagram) {
  ByteReader reader(datagram, "netlink message");
  std::vector<Message> messages;
  while (!reader.at_end()) {
    Message message;
    COFFER_TRY(const std::uint32_t length, reader.u32_le());
    COFFER_TRY(message.type, reader.u16_le());
    COFFER_TRY(message.flags, reader.u16_le());
    COFFER_TRY(message.sequence, reader.u32_le());
    COFFER_TRY_VOID(reader.skip(4));  // the sender's port
    if (length < kHeaderBytes) {
      return fail(
          Code::kInvalidArgument,
          fmt::format("read netlink message: length {}, want {} or more", length, kHeaderBytes));
    }
    COFFER_TRY(message.payload, reader.take(length - kHeaderBytes));
    // The last message may lack its padding.
    COFFER_TRY_VOID(reader.skip(std::min(aligned(length) - length, reader.remaining())));
    messages.push_back(message);
  }
  return messages;
}

Result<std::vector<Attribute>> split_attributes(BytesView bytes) {
  ByteReader reader(bytes, "netlink attributes");
  std::vector<Attribute> attributes;
  while (reader.remaining() >= kAttributeHeaderBytes) {
    Attribute attribute;
    COFFER_TRY(const std::size_t length, reader.u16_le());
    COFFER_TRY(const std::uint16_t type, reader.u16_le());
    attribute.type = static_cast<std::uint16_t>(type & NLA_TYPE_MASK);
    if (length < kAttributeHeaderBytes) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read netlink attribute {}: length {}, want {} or more",
                              attribute.type, length, kAttributeHeaderBytes));
    }
    COFFER_TRY(attribute.payload, reader.take(length - kAttributeHeaderBytes));
    COFFER_TRY_VOID(reader.skip(std::min(aligned(length) - length, reader.remaining())));
    attributes.push_back(attribute);
  }
  return attributes;
}

Result<std::uint8_t> Attribute::u8() const { return ByteReader(payload, "attribute").u8(); }
Result<std::uint16_t> Attribute::u16() const { return ByteReader(payload, "attribute").u16_le(); }
Result<std::uint32_t> Attribute::u32() const { return ByteReader(payload, "attribute").u32_le(); }

std::string Attribute::text() const {
  const std::string_view whole = as_text(payload);
  return std::string(whole.substr(0, whole.find('\0')));
}

Result<Acknowledgement> parse_acknowledgement(const Message& message) {
  ByteReader reader(message.payload, "netlink acknowledgement");
  COFFER_TRY(const std::uint32_t raw, reader.u32_le());
  const auto code = static_cast<std::int32_t>(raw);
  if (code > 0 || code < -4095) {
    return fail(Code::kInvalidArgument,
                fmt::format("read netlink acknowledgement: error {}, want -4095 to 0", code));
  }
  Acknowledgement result{-code, ""};
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return result;
  // The request comes back: its header only with NLM_F_CAPPED, all of it otherwise.
  COFFER_TRY(const std::uint32_t request, reader.u32_le());
  COFFER_TRY_VOID(reader.skip(kHeaderBytes - 4));
  if ((message.flags & NLM_F_CAPPED) == 0 && request > kHeaderBytes) {
    COFFER_TRY_VOID(reader.skip(aligned(request) - kHeaderBytes));
  }
  COFFER_TRY(const auto attributes, split_attributes(reader.rest()));
  for (const auto& attribute : attributes) {
    if (attribute.type == NLMSGERR_ATTR_MSG) result.message = attribute.text();
  }
  return result;
}

}  // namespace coffer::netlink
