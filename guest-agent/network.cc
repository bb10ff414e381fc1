#include "guest-agent/network.h"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "base/fd.h"
#include "base/netlink/rtnetlink.h"
#include "guest-agent/children.h"
#include "guest-agent/device.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;
using netlink::IpAddress;
using netlink::Link;
using netlink::Rtnetlink;

constexpr std::size_t kMaxName = IFNAMSIZ - 1;

Result<std::uint8_t> parse_prefix(std::string_view text, const IpAddress& address) {
  std::uint8_t prefix = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), prefix);
  const unsigned most = address.is_v6() ? 128 : 32;
  if (error != std::errc{} || end != text.data() + text.size() || prefix > most)
    return fail(Code::kInvalidArgument,
                fmt::format("read prefix length '{}': want 0 to {}", text, most));
  return prefix;
}

struct Network {
  IpAddress address;
  std::uint8_t prefix = 0;
};

// "10.0.0.0/24", "10.0.0.1" (a host), "" or "default" (everything).
Result<Network> parse_network(std::string_view text) {
  if (text.empty() || text == "default") return Network{};
  const auto slash = text.find('/');
  COFFER_TRY(auto address, IpAddress::parse(text.substr(0, slash)));
  std::uint8_t prefix = address.is_v6() ? 128 : 32;
  if (slash != std::string_view::npos) {
    COFFER_TRY(prefix, parse_prefix(text.substr(slash + 1), address));
  }
  if (prefix == 0) return Network{};
  return Network{.address = address, .prefix = prefix};
}

Result<Link> find_link(Rtnetlink& netlink, const types::Interface& wanted) {
  COFFER_TRY(const auto links, netlink.links());
  if (!wanted.hwaddr().empty()) {
    COFFER_TRY(const auto mac, netlink::parse_mac(wanted.hwaddr()));
    for (const auto& link : links)
      if (link.mac == mac && !link.is_loopback()) return link;
  }
  for (const auto& link : links) {
    if (link.name != wanted.name()) continue;
    if (!wanted.hwaddr().empty()) {
      COFFER_TRY(const auto mac, netlink::parse_mac(wanted.hwaddr()));
      COFFER_TRY_VOID(netlink.set_mac(link.index, mac));
    }
    return link;
  }
  return fail(Code::kInternal, fmt::format("find interface '{}' ({}): there is none", wanted.name(),
                                           wanted.hwaddr()));
}

// Gives `link` its name; whoever has it already is moved aside.
Status rename(Rtnetlink& netlink, const Link& link, const std::string& name) {
  if (link.name == name || name.empty()) return {};
  if (name.size() > kMaxName || name.find('/') != std::string::npos)
    return fail(Code::kInvalidArgument, fmt::format("rename interface to '{}': not a name", name));
  if (const auto other = netlink.link(name)) {
    COFFER_TRY_VOID(netlink.set_up(other->index, false));
    COFFER_TRY_VOID(netlink.set_name(other->index, fmt::format("aside{}", other->index)));
  }
  return netlink.set_name(link.index, name);
}

bool ipv6_disabled() {
  const auto text = read_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", 16);
  return !text || text->starts_with('1');
}

Status add_addresses(Rtnetlink& netlink, int link, const types::Interface& wanted) {
  for (const auto& one : wanted.ipaddresses()) {
    COFFER_TRY(const auto address, IpAddress::parse(one.address()));
    if (address.is_v6() && ipv6_disabled()) continue;
    netlink::Address entry;
    entry.link = link;
    entry.address = address;
    COFFER_TRY(entry.prefix, parse_prefix(one.mask(), address));
    // No duplicate detection: the host knows that the address is ours, and it would only delay.
    if (address.is_v6()) entry.flags = IFA_F_NODAD;
    COFFER_TRY_VOID(netlink.add_address(entry));
  }
  return {};
}

Result<netlink::Route> to_route(Rtnetlink& netlink, const types::Route& wire) {
  netlink::Route route;
  COFFER_TRY(const auto destination, parse_network(wire.dest()));
  route.destination = destination.address;
  route.prefix = destination.prefix;
  if (!wire.gateway().empty()) {
    COFFER_TRY(route.gateway, IpAddress::parse(wire.gateway()));
  }
  if (!wire.source().empty()) {
    COFFER_TRY(
        route.source,
        IpAddress::parse(std::string_view(wire.source()).substr(0, wire.source().find('/'))));
  }
  if (!wire.device().empty()) {
    COFFER_TRY(const auto link, netlink.link(wire.device()));
    route.link = link.index;
  }
  const bool v6 =
      wire.family() == types::IPFamily::v6 || route.gateway.is_v6() || route.destination.is_v6();
  route.family = v6 ? AF_INET6 : AF_INET;
  if (wire.scope() > UINT8_MAX)
    return fail(Code::kInvalidArgument,
                fmt::format("read route scope {}: want 0 to 255", wire.scope()));
  route.scope = static_cast<std::uint8_t>(wire.scope());
  route.protocol = RTPROT_BOOT;
  route.type = RTN_UNICAST;
  route.flags = wire.flags();
  route.mtu = wire.mtu();
  return route;
}

std::string network_text(const IpAddress& address, std::uint8_t prefix) {
  return address.empty() ? std::string() : fmt::format("{}/{}", address.to_string(), prefix);
}

std::uint64_t counter(const fs::path& dir, const char* name) {
  const auto text = read_file(dir / name, 64);
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

Task<Result<std::string>> run_iptables(ChildRegistry& children, std::string name,
                                       std::vector<std::string> arguments, std::string input) {
  std::error_code error;
  for (const char* dir : {"/usr/sbin", "/sbin"}) {
    const auto program = fs::path(dir) / name;
    if (!fs::exists(program, error)) continue;
    SpawnOptions options;
    options.argv = {program.string()};
    for (auto& argument : arguments) options.argv.push_back(std::move(argument));
    RunOptions run_options;
    run_options.input = std::move(input);
    run_options.output_limit = std::size_t{3} << 20U;
    run_options.deadline = deadline_in(std::chrono::seconds(30));
    auto ran = co_await run_program(children, std::move(options), std::move(run_options));
    if (!ran) co_return fail(std::move(ran).error());
    if (ran->status.as_shell() != 0)
      co_return fail(Code::kInternal, fmt::format("run {}: {}", name, ran->err));
    co_return std::move(ran->out);
  }
  co_return fail(Code::kUnimplemented,
                 fmt::format("run {}: this guest image does not have it", name));
}

}  // namespace

namespace {

// Best effort: a device that refuses is still found by its own address or name.
void force_mac(const std::string& name, const std::string& hardware_address) {
  auto netlink = Rtnetlink::open();
  if (!netlink) return;
  const auto link = netlink->link(name);
  const auto mac = netlink::parse_mac(hardware_address);
  if (link && mac && link->mac != *mac) std::ignore = netlink->set_mac(link->index, *mac);
}

Status configure(const types::Interface& wanted) {
  COFFER_TRY(auto netlink, Rtnetlink::open());
  COFFER_TRY(const auto link, find_link(netlink, wanted));
  COFFER_TRY_VOID(netlink.set_up(link.index, false));
  COFFER_TRY_VOID(rename(netlink, link, wanted.name()));
  if (wanted.mtu() > 0 && wanted.mtu() <= UINT32_MAX)
    COFFER_TRY_VOID(netlink.set_mtu(link.index, static_cast<std::uint32_t>(wanted.mtu())));
  if ((wanted.raw_flags() & static_cast<unsigned>(IFF_NOARP)) != 0)
    COFFER_TRY_VOID(netlink.set_arp(link.index, false));
  COFFER_TRY_VOID(netlink.set_up(link.index, true));
  // After "up": taking a link down drops its IPv6 addresses.
  return add_addresses(netlink, link.index, wanted);
}

}  // namespace

Task<Status> update_interface(DeviceFinder& devices, types::Interface wanted) {
  if (!wanted.devicepath().empty()) {
    auto name = co_await devices.network_by_pci_path(wanted.devicepath());
    if (!name) co_return fail(std::move(name).error());
    if (!wanted.hwaddr().empty()) force_mac(*name, wanted.hwaddr());
  }
  co_return configure(wanted);
}

Status update_routes(const std::vector<types::Route>& routes) {
  COFFER_TRY(auto netlink, Rtnetlink::open());
  for (const bool with_gateway : {false, true}) {
    for (const auto& wire : routes) {
      if (wire.gateway().empty() == with_gateway) continue;
      COFFER_TRY(const auto route, to_route(netlink, wire));
      if (route.family == AF_INET6 && ipv6_disabled()) continue;
      auto added = netlink.add_route(route);
      if (!added && added.error().code() != Code::kAlreadyExists)
        return fail(std::move(added).error().with_context(
            fmt::format("add route to '{}' via '{}'", wire.dest(), wire.gateway())));
    }
  }
  return {};
}

Status add_neighbours(const std::vector<types::ARPNeighbor>& neighbours) {
  COFFER_TRY(auto netlink, Rtnetlink::open());
  for (const auto& wire : neighbours) {
    if (wire.toipaddress().address().empty())
      return fail(Code::kInvalidArgument, "add neighbour: its address is empty");
    netlink::Neighbour entry;
    COFFER_TRY(const auto link, netlink.link(wire.device()));
    entry.link = link.index;
    COFFER_TRY(entry.address, IpAddress::parse(wire.toipaddress().address()));
    if (!wire.lladdr().empty()) {
      COFFER_TRY(entry.mac, netlink::parse_mac(wire.lladdr()));
    }
    entry.state =
        wire.state() == 0 ? std::uint16_t{NUD_PERMANENT} : static_cast<std::uint16_t>(wire.state());
    entry.flags = static_cast<std::uint8_t>(wire.flags());
    COFFER_TRY_VOID(netlink.add_neighbour(entry));
  }
  return {};
}

Result<grpc::Interfaces> list_interfaces() {
  COFFER_TRY(auto netlink, Rtnetlink::open());
  COFFER_TRY(const auto links, netlink.links());
  COFFER_TRY(const auto addresses, netlink.addresses());
  grpc::Interfaces out;
  for (const auto& link : links) {
    auto& one = *out.add_interfaces();
    one.set_name(link.name);
    one.set_hwaddr(netlink::format_mac(link.mac));
    one.set_mtu(link.mtu);
    for (const auto& address : addresses) {
      if (address.link != link.index) continue;
      auto& entry = *one.add_ipaddresses();
      entry.set_family(address.address.is_v6() ? types::IPFamily::v6 : types::IPFamily::v4);
      entry.set_address(address.address.to_string());
      entry.set_mask(fmt::format("{}", address.prefix));
    }
  }
  return out;
}

Result<grpc::Routes> list_routes() {
  COFFER_TRY(auto netlink, Rtnetlink::open());
  COFFER_TRY(const auto routes, netlink.routes());
  COFFER_TRY(const auto links, netlink.links());
  grpc::Routes out;
  for (const auto& route : routes) {
    const bool v6 = route.family == AF_INET6;
    auto dest = network_text(route.destination, route.prefix);
    if (dest.empty() && route.gateway.empty()) continue;
    auto& one = *out.add_routes();
    one.set_dest(dest.empty() ? (v6 ? "::" : "0.0.0.0") : dest);
    one.set_gateway(route.gateway.to_string());
    one.set_source(route.source.to_string());
    one.set_scope(route.scope);
    one.set_family(v6 ? types::IPFamily::v6 : types::IPFamily::v4);
    one.set_flags(route.flags);
    one.set_mtu(route.mtu);
    for (const auto& link : links)
      if (link.index == route.link) one.set_device(link.name);
  }
  return out;
}

Result<std::vector<grpc::NetworkStats>> network_stats() {
  std::vector<grpc::NetworkStats> out;
  std::error_code error;
  for (auto it = fs::directory_iterator("/sys/class/net", error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    const auto name = it->path().filename().string();
    const auto dir = it->path() / "statistics";
    if (name == "lo" || !fs::is_directory(dir, error)) continue;
    grpc::NetworkStats one;
    one.set_name(name);
    one.set_rx_bytes(counter(dir, "rx_bytes"));
    one.set_rx_packets(counter(dir, "rx_packets"));
    one.set_rx_errors(counter(dir, "rx_errors"));
    one.set_rx_dropped(counter(dir, "rx_dropped"));
    one.set_tx_bytes(counter(dir, "tx_bytes"));
    one.set_tx_packets(counter(dir, "tx_packets"));
    one.set_tx_errors(counter(dir, "tx_errors"));
    one.set_tx_dropped(counter(dir, "tx_dropped"));
    out.push_back(std::move(one));
  }
  if (error) return fail_errno(error.value(), "list network interfaces");
  return out;
}

Task<Result<std::string>> save_iptables(ChildRegistry& children, bool ipv6) {
  std::string name = ipv6 ? "ip6tables-save" : "iptables-save";
  co_return co_await run_iptables(children, std::move(name), {}, {});
}

Task<Result<std::string>> restore_iptables(ChildRegistry& children, bool ipv6, std::string rules) {
  std::string name = ipv6 ? "ip6tables-restore" : "iptables-restore";
  std::vector<std::string> arguments{"--wait", "5"};
  co_return co_await run_iptables(children, std::move(name), std::move(arguments),
                                  std::move(rules));
}

}  // namespace coffer::agent
