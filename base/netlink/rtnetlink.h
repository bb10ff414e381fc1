// The operations of rtnetlink that a runtime needs: links, addresses, routes, neighbours, and the
// traffic-control redirect that joins a veth to a tap. Blocking calls, each a few microseconds: the
// kernel answers in the send itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"

namespace coffer::netlink {

// An IPv4 (4 bytes) or IPv6 (16 bytes) address, network order.
class IpAddress {
 public:
  IpAddress() = default;
  // kInvalidArgument unless 4 or 16 bytes.
  [[nodiscard]] static Result<IpAddress> from_bytes(BytesView bytes);
  // "10.0.0.1", "fe80::1".
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool is_v6() const { return size_ == 16; }
  [[nodiscard]] int family() const;  // AF_INET, AF_INET6, or AF_UNSPEC when empty
  [[nodiscard]] BytesView bytes() const { return BytesView(bytes_).first(size_); }
  [[nodiscard]] std::string to_string() const;  // "" when empty
  bool operator==(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::size_t size_ = 0;
};

// "aa:bb:cc:dd:ee:ff"; any length up to 32 bytes, "" for none.
[[nodiscard]] std::string format_mac(BytesView mac);
[[nodiscard]] Result<Bytes> parse_mac(std::string_view text);

struct Link {
  int index = 0;
  std::string name;
  Bytes mac = {};
  std::uint32_t mtu = 0;
  std::uint32_t flags = 0;  // IFF_*
  std::uint16_t type = 0;   // ARPHRD_*
  std::string kind;         // "veth", "tun", "macvlan", "" for hardware
  int peer_index = 0;       // IFLA_LINK, 0 when none
  int master_index = 0;

  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_up() const;
};

struct Address {
  int link = 0;
  IpAddress address = {};
  std::uint8_t prefix = 0;
  std::uint8_t scope = 0;   // RT_SCOPE_*
  std::uint32_t flags = 0;  // IFA_F_*
  IpAddress broadcast = {};
};

struct Route {
  IpAddress destination;  // empty: default
  std::uint8_t prefix = 0;
  IpAddress gateway;  // empty: on link
  IpAddress source;   // preferred source
  int link = 0;
  int family = 0;  // AF_INET or AF_INET6
  std::uint8_t scope = 0;
  std::uint8_t protocol = 0;  // RTPROT_*
  std::uint8_t type = 1;      // RTN_UNICAST
  std::uint32_t table = 254;  // RT_TABLE_MAIN
  std::uint32_t flags = 0;    // RTNH_F_ONLINK, ...
  std::uint32_t priority = 0;
  std::uint32_t mtu = 0;  // 0: not set
};

struct Neighbour {
  int link = 0;
  IpAddress address = {};
  Bytes mac = {};
  std::uint16_t state = 0;  // NUD_*
  std::uint8_t flags = 0;   // NTF_*
};

// One NETLINK_ROUTE socket; it stays in the network namespace it was opened in. Errors carry the
// kernel's errno and, where it gave one, its own words (extended acknowledgement). kNotFound for a
// link, address, route or qdisc that is not there; kAlreadyExists for one that is.
class Rtnetlink {
 public:
  // In the calling thread's network namespace.
  [[nodiscard]] static Result<Rtnetlink> open();

  [[nodiscard]] Result<std::vector<Link>> links();
  [[nodiscard]] Result<Link> link(int index);
  [[nodiscard]] Result<Link> link(std::string_view name);
  [[nodiscard]] Status set_up(int index, bool up);
  [[nodiscard]] Status set_mtu(int index, std::uint32_t mtu);
  [[nodiscard]] Status set_name(int index, std::string_view name);  // the link must be down
  [[nodiscard]] Status set_mac(int index, BytesView mac);
  [[nodiscard]] Status set_arp(int index, bool arp);  // IFF_NOARP off or on
  [[nodiscard]] Status delete_link(int index);
  // Both ends in this namespace.
  [[nodiscard]] Status create_veth(std::string_view name, std::string_view peer);
  // Moves a link into the namespace behind `netns_fd`.
  [[nodiscard]] Status move_link(int index, int netns_fd);

  [[nodiscard]] Result<std::vector<Address>> addresses();
  // Adds, or replaces one of the same address and prefix.
  [[nodiscard]] Status add_address(const Address& address);
  [[nodiscard]] Status delete_address(const Address& address);

  // The main table of both families, cached and multipath ones left out.
  [[nodiscard]] Result<std::vector<Route>> routes();
  [[nodiscard]] Status add_route(const Route& route);
  [[nodiscard]] Status delete_route(const Route& route);

  [[nodiscard]] Result<std::vector<Neighbour>> neighbours();
  [[nodiscard]] Status add_neighbour(const Neighbour& neighbour);

  // An ingress qdisc (ffff:) on the link; deleting it takes its filters with it.
  [[nodiscard]] Status add_ingress_qdisc(int index);
  [[nodiscard]] Status delete_ingress_qdisc(int index);
  // Every frame that comes in on `from` goes out on `to`: u32 match-all with a mirred redirect on
  // the ingress qdisc.
  [[nodiscard]] Status redirect_ingress(int from, int to);

 private:
  explicit Rtnetlink(Fd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Status acknowledged(Bytes request, std::string_view what);
  [[nodiscard]] Result<std::vector<Bytes>> dump(Bytes request, std::string_view what);

  Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace coffer::netlink
