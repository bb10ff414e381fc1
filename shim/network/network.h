// A pod's network: what stands in its namespace, how each interface reaches the VM, and what the
// guest agent must be told.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "shim/config/config.h"

namespace coffer::shim {

// What the agent receives; each struct is one message of the agent's protocol.
struct GuestAddress {
  bool v6 = false;
  std::string address;
  std::uint32_t prefix = 0;
};
struct GuestInterface {
  std::string name;  // to be named so in the guest
  std::string mac;   // by which the agent finds it
  std::uint64_t mtu = 0;
  std::string type;             // link kind on the host
  std::uint32_t raw_flags = 0;  // IFF_NOARP or 0
  std::vector<GuestAddress> addresses;
};
struct GuestRoute {
  std::string destination;  // "a.b.c.d/n", or "" for the default
  std::string gateway;
  std::string device;
  std::string source;
  std::uint32_t scope = 0;
  bool v6 = false;
  std::uint32_t flags = 0;
  std::uint32_t mtu = 0;
};
struct GuestNeighbour {
  bool v6 = false;
  std::string address;
  std::string device;
  std::string mac;
  std::int32_t state = 0;
  std::int32_t flags = 0;
};

// One interface as wired for QEMU.
struct Endpoint {
  GuestInterface interface;
  std::string tap;         // name of the tap in the pod's namespace
  std::vector<Fd> taps;    // one per queue, IFF_VNET_HDR
  std::vector<Fd> vhosts;  // one per queue, or none when the host has no usable /dev/vhost-net
};

struct PodNetwork {
  std::vector<Endpoint> endpoints;
  std::vector<GuestRoute> routes;
  std::vector<GuestNeighbour> neighbours;
  // What disconnect_network() needs to undo the wiring, as JSON: kept in the sandbox's state file.
  [[nodiscard]] std::string record() const;

  std::string netns;
  struct Wire {
    std::string link;
    std::string tap;
  };
  std::vector<Wire> wires;
};

struct NetworkOptions {
  NetworkModel model = NetworkModel::kTcFilter;
  std::uint64_t queues = 1;
  bool vhost = true;  // use /dev/vhost-net when it works
};

// Looks at the namespace and wires every interface that is up, not loopback, and has an address.
// On an error everything made so far is taken down again. kUnimplemented for a model or an
// interface kind Coffer does not wire; kFailedPrecondition for a namespace that is the host's.
[[nodiscard]] Result<PodNetwork> connect_network(const std::filesystem::path& netns,
                                                 const NetworkOptions& options);

// Takes the wiring down. What is gone already (taps, links, the namespace itself) is no error. Safe
// to repeat; works from PodNetwork::record() alone.
[[nodiscard]] Status disconnect_network(std::string_view record);

// Makes a named namespace at `path` (bind-mounted) with loopback up, and removes it.
[[nodiscard]] Status create_netns(const std::filesystem::path& path);
[[nodiscard]] Status remove_netns(const std::filesystem::path& path);

}  // namespace coffer::shim
