// Netlink datagrams: the kernel writes them, but in the guest they hold what the host chose (names,
// addresses, link-layer addresses).

#include <cstddef>
#include <cstdint>

#include "base/netlink/message.h"
#include "base/netlink/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace netlink = coffer::netlink;
  const auto messages = netlink::split_messages({data, size});
  if (!messages) return 0;
  for (const auto& message : *messages) {
    (void)netlink::parse_acknowledgement(message);
    if (const auto link = netlink::parse_link(message.payload)) {
      (void)netlink::format_mac(link->mac);
    }
    if (const auto address = netlink::parse_address(message.payload)) {
      (void)address->address.to_string();
    }
    if (const auto route = netlink::parse_route(message.payload); route && *route) {
      (void)(*route)->gateway.to_string();
    }
    (void)netlink::parse_neighbour(message.payload);
  }
  return 0;
}
