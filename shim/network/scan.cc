#include "shim/network/scan.h"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <algorithm>
#include <iterator>

namespace coffer::shim {
namespace {

bool is_link_local(const netlink::IpAddress& address) {
  if (!address.is_v6()) return false;
  const BytesView bytes = address.bytes();
  return bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80;  // fe80::/10, RFC 4291 section 2.4
}

const netlink::Link* find(const std::vector<netlink::Link>& links, int index) {
  const auto it = std::ranges::find(links, index, &netlink::Link::index);
  return it == links.end() ? nullptr : &*it;
}

bool is_default_gateway(const NamespaceContents& contents, const netlink::Neighbour& neighbour) {
  return std::ranges::any_of(contents.routes, [&](const netlink::Route& route) {
    return route.destination.empty() && route.link == neighbour.link &&
           route.gateway == neighbour.address;
  });
}

}  // namespace

Result<NamespaceContents> read_namespace(netlink::Rtnetlink& rtnetlink) {
  NamespaceContents contents;
  COFFER_TRY(contents.links, rtnetlink.links());
  COFFER_TRY(contents.addresses, rtnetlink.addresses());
  COFFER_TRY(contents.routes, rtnetlink.routes());
  COFFER_TRY(contents.neighbours, rtnetlink.neighbours());
  return contents;
}

Result<std::vector<netlink::Link>> guest_links(const NamespaceContents& contents) {
  std::vector<netlink::Link> links;
  for (const auto& link : contents.links) {
    const bool addressed = std::ranges::any_of(contents.addresses, [&](const auto& address) {
      return address.link == link.index && !is_link_local(address.address);
    });
    if (link.is_loopback() || !link.is_up() || !addressed) continue;
    if (link.type != ARPHRD_ETHER || link.kind == "tun") {
      return fail(Code::kUnimplemented,
                  fmt::format("connect '{}': links of kind '{}', type {} cannot be joined to the "
                              "VM; want an Ethernet link such as a veth",
                              link.name, link.kind, link.type));
    }
    links.push_back(link);
  }
  return links;
}

GuestInterface describe_interface(const netlink::Link& link, const NamespaceContents& contents) {
  GuestInterface interface;
  interface.name = link.name;
  interface.mac = netlink::format_mac(link.mac);
  interface.mtu = link.mtu;
  interface.type = link.kind;
  interface.raw_flags = link.flags & IFF_NOARP;
  for (const auto& address : contents.addresses) {
    if (address.link != link.index || is_link_local(address.address)) continue;
    interface.addresses.push_back(
        {address.address.is_v6(), address.address.to_string(), address.prefix});
  }
  return interface;
}

std::vector<GuestRoute> describe_routes(const std::vector<netlink::Link>& links,
                                        const NamespaceContents& contents) {
  std::vector<GuestRoute> routes;
  std::vector<GuestRoute> through_gateway;
  for (const auto& route : contents.routes) {
    const netlink::Link* link = find(links, route.link);
    if (link == nullptr || route.protocol == RTPROT_KERNEL) continue;
    GuestRoute out;
    if (!route.destination.empty()) {
      out.destination = fmt::format("{}/{}", route.destination.to_string(), route.prefix);
    }
    out.gateway = route.gateway.to_string();
    out.device = link->name;
    out.source = route.source.to_string();
    out.scope = route.scope;
    out.v6 = route.family == AF_INET6;
    out.flags = route.flags;
    out.mtu = route.mtu;
    (out.gateway.empty() ? routes : through_gateway).push_back(std::move(out));
  }
  routes.insert(routes.end(), std::make_move_iterator(through_gateway.begin()),
                std::make_move_iterator(through_gateway.end()));
  return routes;
}

std::vector<GuestNeighbour> describe_neighbours(const std::vector<netlink::Link>& links,
                                                const NamespaceContents& contents) {
  std::vector<GuestNeighbour> neighbours;
  for (const auto& neighbour : contents.neighbours) {
    const netlink::Link* link = find(links, neighbour.link);
    if (link == nullptr || neighbour.mac.empty()) continue;
    const bool permanent = (neighbour.state & NUD_PERMANENT) != 0;
    const bool reachable = (neighbour.state & NUD_REACHABLE) != 0;
    if (!permanent && !(reachable && is_default_gateway(contents, neighbour))) continue;
    neighbours.push_back({neighbour.address.is_v6(), neighbour.address.to_string(), link->name,
                          netlink::format_mac(neighbour.mac), neighbour.state, neighbour.flags});
  }
  return neighbours;
}

}  // namespace coffer::shim
