#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/netlink/rtnetlink.h"

namespace coffer::netlink {

Result<IpAddress> IpAddress::from_bytes(BytesView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return fail(Code::kInvalidArgument,
                fmt::format("IP address: got {} bytes, want 4 or 16", bytes.size()));
  }
  IpAddress address;
  std::ranges::copy(bytes, address.bytes_.begin());
  address.size_ = bytes.size();
  return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  IpAddress address;
  if (copy.find('\0') == std::string::npos) {
    if (::inet_pton(AF_INET, copy.c_str(), address.bytes_.data()) == 1) {
      address.size_ = 4;
      return address;
    }
    if (::inet_pton(AF_INET6, copy.c_str(), address.bytes_.data()) == 1) {
      address.size_ = 16;
      return address;
    }
  }
  return fail(Code::kInvalidArgument,
              fmt::format("IP address: got '{}'", text.substr(0, INET6_ADDRSTRLEN)));
}

int IpAddress::family() const {
  if (empty()) return AF_UNSPEC;
  return is_v6() ? AF_INET6 : AF_INET;
}

std::string IpAddress::to_string() const {
  if (empty()) return "";
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family(), bytes_.data(), text.data(), text.size());
  return text.data();
}

std::string format_mac(BytesView mac) {
  std::string text;
  for (const std::uint8_t byte : mac) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", byte);
  }
  return text;
}

Result<Bytes> parse_mac(std::string_view text) {
  constexpr std::size_t kMaxBytes = 32;
  const auto bad = [&] {
    return fail(Code::kInvalidArgument,
                fmt::format("MAC address: got '{}', want pairs of hex digits joined by ':'",
                            text.substr(0, 3 * kMaxBytes)));
  };
  if (text.empty()) return Bytes{};
  if (text.size() % 3 != 2 || text.size() > 3 * kMaxBytes - 1) return bad();
  Bytes mac;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    if (i + 2 < text.size() && text[i + 2] != ':') return bad();
    const auto byte = from_hex(text.substr(i, 2));
    if (!byte) return bad();
    mac.push_back(byte->front());
  }
  return mac;
}

}  // namespace coffer::netlink
