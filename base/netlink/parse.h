// What rtnetlink's messages say, as values. No I/O.
#pragma once

#include <optional>

#include "base/netlink/message.h"
#include "base/netlink/rtnetlink.h"

namespace coffer::netlink {

// Payloads of RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH. kInvalidArgument when a field
// has the wrong size. Attributes not named in the structs are passed over: the kernel adds more
// with every release.
[[nodiscard]] Result<Link> parse_link(BytesView payload);
[[nodiscard]] Result<Address> parse_address(BytesView payload);
// Empty for what is no plain unicast route of the main table.
[[nodiscard]] Result<std::optional<Route>> parse_route(BytesView payload);
// Empty for entries without an IP address.
[[nodiscard]] Result<std::optional<Neighbour>> parse_neighbour(BytesView payload);

}  // namespace coffer::netlink
