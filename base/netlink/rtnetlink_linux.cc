#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/netlink/message.h"
#include "base/netlink/parse.h"
#include "base/netlink/rtnetlink.h"

namespace coffer::netlink {
namespace {

constexpr std::size_t kSequenceOffset = 8;
// The kernel fills dumps up to 32 KiB a datagram when the reader's buffer is that large.
constexpr std::size_t kReceiveBytes = 65536;
constexpr std::size_t kMaxDumpMessages = 65536;
// Two seconds: the kernel answers in the send; only a lost answer ever waits.
constexpr timeval kTimeout{2, 0};

Code code_of(int error) {
  switch (error) {
    case ENODEV:
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EPERM:
    case EACCES:
      return Code::kPermissionDenied;
    default:
      return errno_error(error, "").code();
  }
}

std::unexpected<Error> refused(const Acknowledgement& ack, std::string_view what) {
  std::string text = errno_error(ack.error, what).message();
  if (!ack.message.empty()) text += fmt::format(" ({})", ack.message);
  return fail(code_of(ack.error), std::move(text));
}

// ifinfomsg
MessageBuilder link_request(std::uint16_t type, std::uint16_t flags, int index,
                            std::uint32_t set = 0, std::uint32_t change = 0) {
  MessageBuilder builder(type, flags);
  builder.u8(AF_UNSPEC).u8(0).u16(0).i32(index).u32(set).u32(change);
  return builder;
}

// tcmsg
MessageBuilder tc_request(std::uint16_t type, std::uint16_t flags, int index, std::uint32_t handle,
                          std::uint32_t parent, std::uint32_t info) {
  MessageBuilder builder(type, flags);
  builder.u8(AF_UNSPEC).zeros(3).i32(index).u32(handle).u32(parent).u32(info);
  return builder;
}

std::uint8_t family_byte(int family) { return static_cast<std::uint8_t>(family); }

MessageBuilder address_request(std::uint16_t type, std::uint16_t flags, const Address& address) {
  MessageBuilder builder(type, flags);
  builder.u8(family_byte(address.address.family()))
      .u8(address.prefix)
      .u8(static_cast<std::uint8_t>(address.flags))
      .u8(address.scope)
      .i32(address.link)
      .attribute(IFA_LOCAL, address.address.bytes())
      .attribute(IFA_ADDRESS, address.address.bytes());
  if (!address.broadcast.empty()) {
    builder.attribute(IFA_BROADCAST, address.broadcast.bytes());
  }
  return builder;
}

MessageBuilder route_request(std::uint16_t type, std::uint16_t flags, const Route& route) {
  MessageBuilder builder(type, flags);
  int family = route.family;
  for (const auto* address : {&route.destination, &route.gateway, &route.source}) {
    if (family == AF_UNSPEC) family = address->family();
  }
  builder.u8(family_byte(family))
      .u8(route.prefix)
      .u8(0)
      .u8(0)
      .u8(RT_TABLE_UNSPEC)
      .u8(route.protocol)
      .u8(route.scope)
      .u8(route.type)
      .u32(route.flags)
      .attribute_u32(RTA_TABLE, route.table);
  if (!route.destination.empty()) builder.attribute(RTA_DST, route.destination.bytes());
  if (!route.gateway.empty()) builder.attribute(RTA_GATEWAY, route.gateway.bytes());
  if (!route.source.empty()) builder.attribute(RTA_PREFSRC, route.source.bytes());
  if (route.link != 0) builder.attribute_u32(RTA_OIF, static_cast<std::uint32_t>(route.link));
  if (route.priority != 0) builder.attribute_u32(RTA_PRIORITY, route.priority);
  if (route.mtu != 0) {
    builder.begin(RTA_METRICS | NLA_F_NESTED).attribute_u32(RTAX_MTU, route.mtu).end();
  }
  return builder;
}

std::string route_text(const Route& route) {
  return route.destination.empty()
             ? "default"
             : fmt::format("{}/{}", route.destination.to_string(), route.prefix);
}

Result<std::string_view> checked_name(std::string_view name) {
  if (!name.empty() && name.size() < IFNAMSIZ && name.find('/') == std::string_view::npos) {
    return name;
  }
  return fail(Code::kInvalidArgument, fmt::format("link name '{}': want 1 to {} characters",
                                                  name.substr(0, 64), IFNAMSIZ - 1));
}

}  // namespace

Result<Rtnetlink> Rtnetlink::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return fail_errno(errno, "open rtnetlink");
  const int on = 1;
  // Both only improve messages; kernels without them still serve.
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof kTimeout) != 0) {
    return fail_errno(errno, "set rtnetlink's timeout");
  }
  return Rtnetlink(std::move(socket));
}

namespace {

Status send_request(int fd, Bytes& request, std::uint32_t sequence, std::string_view what) {
  std::memcpy(request.data() + kSequenceOffset, &sequence, sizeof sequence);
  while (::send(fd, request.data(), request.size(), 0) < 0) {
    if (errno != EINTR) return fail_errno(errno, what);
  }
  return {};
}

// One datagram from the kernel; others' are dropped.
Result<Bytes> receive(int fd, std::string_view what) {
  Bytes buffer(kReceiveBytes);
  while (true) {
    sockaddr_nl sender{};
    socklen_t length = sizeof sender;
    // SAFETY: sockaddr_nl is the address type of AF_NETLINK sockets.
    const ssize_t count = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_TRUNC,
                                     reinterpret_cast<sockaddr*>(&sender), &length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, what);
    if (sender.nl_pid != 0) continue;
    if (static_cast<std::size_t>(count) > buffer.size()) {
      return fail(Code::kResourceExhausted,
                  fmt::format("{}: answer of {} bytes is too large", what, count));
    }
    buffer.resize(static_cast<std::size_t>(count));
    return buffer;
  }
}

}  // namespace

Status Rtnetlink::acknowledged(Bytes request, std::string_view what) {
  const std::uint32_t sequence = ++sequence_;
  COFFER_TRY_VOID(send_request(socket_.get(), request, sequence, what));
  while (true) {
    COFFER_TRY(const Bytes datagram, receive(socket_.get(), what));
    COFFER_TRY(const auto messages, split_messages(datagram));
    for (const auto& message : messages) {
      if (message.sequence != sequence || message.type != NLMSG_ERROR) continue;
      COFFER_TRY(const auto ack, parse_acknowledgement(message));
      if (ack.error != 0) return refused(ack, what);
      return {};
    }
  }
}

Result<std::vector<Bytes>> Rtnetlink::dump(Bytes request, std::string_view what) {
  const std::uint32_t sequence = ++sequence_;
  COFFER_TRY_VOID(send_request(socket_.get(), request, sequence, what));
  std::vector<Bytes> payloads;
  while (true) {
    COFFER_TRY(const Bytes datagram, receive(socket_.get(), what));
    COFFER_TRY(const auto messages, split_messages(datagram));
    for (const auto& message : messages) {
      if (message.sequence != sequence) continue;
      if (message.type == NLMSG_DONE) return payloads;
      if (message.type == NLMSG_ERROR) {
        COFFER_TRY(const auto ack, parse_acknowledgement(message));
        if (ack.error != 0) return refused(ack, what);
        return payloads;
      }
      if ((message.flags & NLM_F_DUMP_INTR) != 0) {
        return fail(Code::kAborted, fmt::format("{}: it changed while it was read", what));
      }
      if (payloads.size() >= kMaxDumpMessages) {
        return fail(Code::kResourceExhausted,
                    fmt::format("{}: more than {} entries", what, kMaxDumpMessages));
      }
      payloads.emplace_back(message.payload.begin(), message.payload.end());
      if ((message.flags & NLM_F_MULTI) == 0) return payloads;
    }
  }
}

Result<std::vector<Link>> Rtnetlink::links() {
  COFFER_TRY(const auto payloads,
             dump(link_request(RTM_GETLINK, NLM_F_DUMP, 0).finish(), "list links"));
  std::vector<Link> links;
  for (const auto& payload : payloads) {
    COFFER_TRY(Link link, parse_link(payload));
    links.push_back(std::move(link));
  }
  return links;
}

Result<Link> Rtnetlink::link(int index) {
  const std::string what = fmt::format("find link {}", index);
  COFFER_TRY(const auto payloads, dump(link_request(RTM_GETLINK, 0, index).finish(), what));
  if (payloads.empty()) return fail(Code::kNotFound, what + ": no such link");
  return parse_link(payloads.front());
}

Result<Link> Rtnetlink::link(std::string_view name) {
  COFFER_TRY(name, checked_name(name));
  const std::string what = fmt::format("find link '{}'", name);
  auto request = link_request(RTM_GETLINK, 0, 0);
  request.attribute_string(IFLA_IFNAME, name);
  COFFER_TRY(const auto payloads, dump(request.finish(), what));
  if (payloads.empty()) return fail(Code::kNotFound, what + ": no such link");
  return parse_link(payloads.front());
}

Status Rtnetlink::set_up(int index, bool up) {
  return acknowledged(link_request(RTM_NEWLINK, NLM_F_ACK, index, up ? IFF_UP : 0, IFF_UP).finish(),
                      fmt::format("set link {} {}", index, up ? "up" : "down"));
}

Status Rtnetlink::set_arp(int index, bool arp) {
  return acknowledged(
      link_request(RTM_NEWLINK, NLM_F_ACK, index, arp ? 0 : IFF_NOARP, IFF_NOARP).finish(),
      fmt::format("set ARP of link {}", index));
}

Status Rtnetlink::set_mtu(int index, std::uint32_t mtu) {
  auto request = link_request(RTM_NEWLINK, NLM_F_ACK, index);
  request.attribute_u32(IFLA_MTU, mtu);
  return acknowledged(request.finish(), fmt::format("set MTU {} on link {}", mtu, index));
}

Status Rtnetlink::set_name(int index, std::string_view name) {
  COFFER_TRY(name, checked_name(name));
  auto request = link_request(RTM_NEWLINK, NLM_F_ACK, index);
  request.attribute_string(IFLA_IFNAME, name);
  return acknowledged(request.finish(), fmt::format("rename link {} to '{}'", index, name));
}

Status Rtnetlink::set_mac(int index, BytesView mac) {
  auto request = link_request(RTM_NEWLINK, NLM_F_ACK, index);
  request.attribute(IFLA_ADDRESS, mac);
  return acknowledged(request.finish(), fmt::format("set MAC of link {}", index));
}

Status Rtnetlink::delete_link(int index) {
  return acknowledged(link_request(RTM_DELLINK, NLM_F_ACK, index).finish(),
                      fmt::format("delete link {}", index));
}

Status Rtnetlink::move_link(int index, int netns_fd) {
  auto request = link_request(RTM_NEWLINK, NLM_F_ACK, index);
  request.attribute_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns_fd));
  return acknowledged(request.finish(), fmt::format("move link {} to a namespace", index));
}

Status Rtnetlink::create_veth(std::string_view name, std::string_view peer) {
  COFFER_TRY(name, checked_name(name));
  COFFER_TRY(peer, checked_name(peer));
  auto request = link_request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0);
  request.attribute_string(IFLA_IFNAME, name)
      .begin(IFLA_LINKINFO | NLA_F_NESTED)
      .attribute_string(IFLA_INFO_KIND, "veth")
      .begin(IFLA_INFO_DATA | NLA_F_NESTED)
      .begin(VETH_INFO_PEER | NLA_F_NESTED)
      .zeros(sizeof(ifinfomsg))
      .attribute_string(IFLA_IFNAME, peer)
      .end()
      .end()
      .end();
  return acknowledged(request.finish(), fmt::format("create veth '{}'", name));
}

Result<std::vector<Address>> Rtnetlink::addresses() {
  MessageBuilder request(RTM_GETADDR, NLM_F_DUMP);
  request.zeros(sizeof(ifaddrmsg));
  COFFER_TRY(const auto payloads, dump(request.finish(), "list addresses"));
  std::vector<Address> addresses;
  for (const auto& payload : payloads) {
    COFFER_TRY(const Address address, parse_address(payload));
    if (!address.address.empty()) addresses.push_back(address);
  }
  return addresses;
}

Status Rtnetlink::add_address(const Address& address) {
  return acknowledged(
      address_request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, address).finish(),
      fmt::format("add address {}/{}", address.address.to_string(), address.prefix));
}

Status Rtnetlink::delete_address(const Address& address) {
  return acknowledged(
      address_request(RTM_DELADDR, NLM_F_ACK, address).finish(),
      fmt::format("delete address {}/{}", address.address.to_string(), address.prefix));
}

Result<std::vector<Route>> Rtnetlink::routes() {
  std::vector<Route> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    MessageBuilder request(RTM_GETROUTE, NLM_F_DUMP);
    request.u8(family_byte(family)).zeros(sizeof(rtmsg) - 1);
    COFFER_TRY(const auto payloads, dump(request.finish(), "list routes"));
    for (const auto& payload : payloads) {
      COFFER_TRY(const auto route, parse_route(payload));
      if (route) routes.push_back(*route);
    }
  }
  return routes;
}

Status Rtnetlink::add_route(const Route& route) {
  return acknowledged(
      route_request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, route).finish(),
      fmt::format("add route {}", route_text(route)));
}

Status Rtnetlink::delete_route(const Route& route) {
  return acknowledged(route_request(RTM_DELROUTE, NLM_F_ACK, route).finish(),
                      fmt::format("delete route {}", route_text(route)));
}

Result<std::vector<Neighbour>> Rtnetlink::neighbours() {
  MessageBuilder request(RTM_GETNEIGH, NLM_F_DUMP);
  request.zeros(sizeof(ndmsg));
  COFFER_TRY(const auto payloads, dump(request.finish(), "list neighbours"));
  std::vector<Neighbour> neighbours;
  for (const auto& payload : payloads) {
    COFFER_TRY(const auto neighbour, parse_neighbour(payload));
    if (neighbour) neighbours.push_back(*neighbour);
  }
  return neighbours;
}

Status Rtnetlink::add_neighbour(const Neighbour& neighbour) {
  MessageBuilder request(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  request.u8(family_byte(neighbour.address.family()))
      .zeros(3)
      .i32(neighbour.link)
      .u16(neighbour.state)
      .u8(neighbour.flags)
      .u8(0)
      .attribute(NDA_DST, neighbour.address.bytes());
  if (!neighbour.mac.empty()) request.attribute(NDA_LLADDR, neighbour.mac);
  return acknowledged(request.finish(),
                      fmt::format("add neighbour {}", neighbour.address.to_string()));
}

namespace {
constexpr std::uint32_t kIngressHandle = 0xffff0000;  // ffff:
}

Status Rtnetlink::add_ingress_qdisc(int index) {
  auto request = tc_request(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, index,
                            kIngressHandle, TC_H_INGRESS, 0);
  request.attribute_string(TCA_KIND, "ingress");
  return acknowledged(request.finish(), fmt::format("add ingress qdisc on link {}", index));
}

Status Rtnetlink::delete_ingress_qdisc(int index) {
  auto request = tc_request(RTM_DELQDISC, NLM_F_ACK, index, kIngressHandle, TC_H_INGRESS, 0);
  request.attribute_string(TCA_KIND, "ingress");
  return acknowledged(request.finish(), fmt::format("delete ingress qdisc on link {}", index));
}

Status Rtnetlink::redirect_ingress(int from, int to) {
  // tc filter add dev FROM parent ffff: protocol all u32 match u8 0 0
  //   action mirred egress redirect dev TO
  // struct tc_u32_sel and one struct tc_u32_key of linux/pkt_cls.h, whose trailing array C++ lacks:
  // byte 0 the flags, byte 2 the number of keys; a key of zeros matches everything.
  constexpr std::size_t kSelector = 16;
  constexpr std::size_t kKey = 16;
  Bytes sel(kSelector + kKey);
  sel[0] = TC_U32_TERMINAL;
  sel[2] = 1;
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<std::uint32_t>(to);
  Bytes parms(sizeof mirred);
  std::memcpy(parms.data(), &mirred, sizeof mirred);

  const std::uint32_t info = TC_H_MAKE(1U << 16U, htons(ETH_P_ALL));
  auto request = tc_request(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, from, 0,
                            kIngressHandle, info);
  request.attribute_string(TCA_KIND, "u32")
      .begin(TCA_OPTIONS | NLA_F_NESTED)
      .attribute(TCA_U32_SEL, sel)
      .begin(TCA_U32_ACT | NLA_F_NESTED)
      .begin(1 | NLA_F_NESTED)  // the first action
      .attribute_string(TCA_ACT_KIND, "mirred")
      .begin(TCA_ACT_OPTIONS | NLA_F_NESTED)
      .attribute(TCA_MIRRED_PARMS, parms)
      .end()
      .end()
      .end()
      .end();
  return acknowledged(request.finish(), fmt::format("redirect link {} to {}", from, to));
}

}  // namespace coffer::netlink
