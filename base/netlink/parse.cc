#include "base/netlink/parse.h"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

namespace coffer::netlink {
namespace {

constexpr std::size_t kMaxMac = 32;  // MAX_ADDR_LEN, include/linux/netdevice.h
constexpr std::uint8_t kMaxPrefix = 128;

Result<int> index_of(const Attribute& attribute) {
  COFFER_TRY(const std::uint32_t value, attribute.u32());
  return static_cast<int>(value);
}

Result<Bytes> mac_of(const Attribute& attribute) {
  if (attribute.payload.size() > kMaxMac) {
    return fail(Code::kInvalidArgument,
                fmt::format("link-layer address: got {} bytes, want 0 to {}",
                            attribute.payload.size(), kMaxMac));
  }
  return Bytes(attribute.payload.begin(), attribute.payload.end());
}

Status check_prefix(std::uint8_t prefix) {
  if (prefix <= kMaxPrefix) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("prefix length: got {}, want 0 to {}", prefix, kMaxPrefix));
}

Status read_link_attribute(Link& link, const Attribute& attribute) {
  switch (attribute.type) {
    case IFLA_IFNAME:
      link.name = attribute.text();
      break;
    case IFLA_ADDRESS: {
      COFFER_TRY(link.mac, mac_of(attribute));
      break;
    }
    case IFLA_MTU: {
      COFFER_TRY(link.mtu, attribute.u32());
      break;
    }
    case IFLA_LINK: {
      COFFER_TRY(link.peer_index, index_of(attribute));
      break;
    }
    case IFLA_MASTER: {
      COFFER_TRY(link.master_index, index_of(attribute));
      break;
    }
    case IFLA_LINKINFO: {
      COFFER_TRY(const auto inner, split_attributes(attribute.payload));
      for (const auto& info : inner) {
        if (info.type == IFLA_INFO_KIND) link.kind = info.text();
      }
      break;
    }
    default:
      break;
  }
  return {};
}

Status read_route_attribute(Route& route, const Attribute& attribute) {
  switch (attribute.type) {
    case RTA_DST: {
      COFFER_TRY(route.destination, IpAddress::from_bytes(attribute.payload));
      break;
    }
    case RTA_GATEWAY: {
      COFFER_TRY(route.gateway, IpAddress::from_bytes(attribute.payload));
      break;
    }
    case RTA_PREFSRC: {
      COFFER_TRY(route.source, IpAddress::from_bytes(attribute.payload));
      break;
    }
    case RTA_OIF: {
      COFFER_TRY(route.link, index_of(attribute));
      break;
    }
    case RTA_PRIORITY: {
      COFFER_TRY(route.priority, attribute.u32());
      break;
    }
    case RTA_TABLE: {
      COFFER_TRY(route.table, attribute.u32());
      break;
    }
    case RTA_METRICS: {
      COFFER_TRY(const auto metrics, split_attributes(attribute.payload));
      for (const auto& metric : metrics) {
        if (metric.type != RTAX_MTU) continue;
        COFFER_TRY(route.mtu, metric.u32());
      }
      break;
    }
    default:
      break;
  }
  return {};
}

}  // namespace

bool Link::is_loopback() const { return (flags & IFF_LOOPBACK) != 0 || type == ARPHRD_LOOPBACK; }
bool Link::is_up() const { return (flags & IFF_UP) != 0; }

Result<Link> parse_link(BytesView payload) {
  ByteReader reader(payload, "link message");
  Link link;
  COFFER_TRY_VOID(reader.skip(2));  // ifi_family, padding
  COFFER_TRY(link.type, reader.u16_le());
  COFFER_TRY(const std::uint32_t index, reader.u32_le());
  link.index = static_cast<int>(index);
  COFFER_TRY(link.flags, reader.u32_le());
  COFFER_TRY_VOID(reader.skip(4));  // ifi_change
  COFFER_TRY(const auto attributes, split_attributes(reader.rest()));
  for (const auto& attribute : attributes) COFFER_TRY_VOID(read_link_attribute(link, attribute));
  return link;
}

Result<Address> parse_address(BytesView payload) {
  ByteReader reader(payload, "address message");
  Address address;
  COFFER_TRY_VOID(reader.skip(1));  // ifa_family: the address says it
  COFFER_TRY(address.prefix, reader.u8());
  COFFER_TRY_VOID(check_prefix(address.prefix));
  COFFER_TRY(const std::uint8_t flags, reader.u8());
  address.flags = flags;
  COFFER_TRY(address.scope, reader.u8());
  COFFER_TRY(const std::uint32_t index, reader.u32_le());
  address.link = static_cast<int>(index);
  COFFER_TRY(const auto attributes, split_attributes(reader.rest()));
  IpAddress peer;
  for (const auto& attribute : attributes) {
    if (attribute.type == IFA_LOCAL) {
      COFFER_TRY(address.address, IpAddress::from_bytes(attribute.payload));
    } else if (attribute.type == IFA_ADDRESS) {
      COFFER_TRY(peer, IpAddress::from_bytes(attribute.payload));
    } else if (attribute.type == IFA_BROADCAST) {
      COFFER_TRY(address.broadcast, IpAddress::from_bytes(attribute.payload));
    } else if (attribute.type == IFA_FLAGS) {
      COFFER_TRY(address.flags, attribute.u32());
    }
  }
  // IPv6 has no IFA_LOCAL unless there is a peer.
  if (address.address.empty()) address.address = peer;
  return address;
}

Result<std::optional<Route>> parse_route(BytesView payload) {
  ByteReader reader(payload, "route message");
  Route route;
  COFFER_TRY(const std::uint8_t family, reader.u8());
  route.family = family;
  COFFER_TRY(route.prefix, reader.u8());
  COFFER_TRY_VOID(check_prefix(route.prefix));
  COFFER_TRY_VOID(reader.skip(2));  // rtm_src_len, rtm_tos
  COFFER_TRY(const std::uint8_t table, reader.u8());
  route.table = table;
  COFFER_TRY(route.protocol, reader.u8());
  COFFER_TRY(route.scope, reader.u8());
  COFFER_TRY(route.type, reader.u8());
  COFFER_TRY(const std::uint32_t flags, reader.u32_le());
  // Next-hop flags share the word with those of the route.
  route.flags = flags & (RTNH_F_ONLINK | RTNH_F_PERVASIVE);
  COFFER_TRY(const auto attributes, split_attributes(reader.rest()));
  bool multipath = false;
  for (const auto& attribute : attributes) {
    if (attribute.type == RTA_MULTIPATH) multipath = true;
    COFFER_TRY_VOID(read_route_attribute(route, attribute));
  }
  const bool cloned = (flags & RTM_F_CLONED) != 0;
  if (multipath || cloned || route.table != RT_TABLE_MAIN || route.type != RTN_UNICAST) {
    return std::nullopt;
  }
  return route;
}

Result<std::optional<Neighbour>> parse_neighbour(BytesView payload) {
  ByteReader reader(payload, "neighbour message");
  Neighbour neighbour;
  COFFER_TRY_VOID(reader.skip(4));  // ndm_family, padding
  COFFER_TRY(const std::uint32_t index, reader.u32_le());
  neighbour.link = static_cast<int>(index);
  COFFER_TRY(neighbour.state, reader.u16_le());
  COFFER_TRY(neighbour.flags, reader.u8());
  COFFER_TRY_VOID(reader.skip(1));  // ndm_type
  COFFER_TRY(const auto attributes, split_attributes(reader.rest()));
  for (const auto& attribute : attributes) {
    if (attribute.type == NDA_DST) {
      const std::size_t size = attribute.payload.size();
      if (size != 4 && size != 16) return std::nullopt;  // no IP: a bridge's entry
      COFFER_TRY(neighbour.address, IpAddress::from_bytes(attribute.payload));
    } else if (attribute.type == NDA_LLADDR) {
      COFFER_TRY(neighbour.mac, mac_of(attribute));
    }
  }
  if (neighbour.address.empty()) return std::nullopt;
  return neighbour;
}

}  // namespace coffer::netlink
