// What stands in a pod's network namespace, and what the guest is told of it. No wiring.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/netlink/rtnetlink.h"
#include "shim/network/network.h"

namespace coffer::shim {

struct NamespaceContents {
  std::vector<netlink::Link> links;
  std::vector<netlink::Address> addresses;
  std::vector<netlink::Route> routes;
  std::vector<netlink::Neighbour> neighbours;
};

// Of the calling thread's namespace.
[[nodiscard]] Result<NamespaceContents> read_namespace(netlink::Rtnetlink& rtnetlink);

// The links that the guest gets: not loopback, and with an address of its own (IPv6 link-local ones
// do not count: every kernel makes them). kUnimplemented for one that cannot be joined to a tap.
[[nodiscard]] Result<std::vector<netlink::Link>> guest_links(const NamespaceContents& contents);

[[nodiscard]] GuestInterface describe_interface(const netlink::Link& link,
                                                const NamespaceContents& contents);
// Those of `links`, without what the guest's kernel adds by itself; on-link ones before those that
// need them.
[[nodiscard]] std::vector<GuestRoute> describe_routes(const std::vector<netlink::Link>& links,
                                                      const NamespaceContents& contents);
// Permanent entries, and default gateways that are known: at a mass start they spare an ARP storm.
[[nodiscard]] std::vector<GuestNeighbour> describe_neighbours(
    const std::vector<netlink::Link>& links, const NamespaceContents& contents);

}  // namespace coffer::shim
