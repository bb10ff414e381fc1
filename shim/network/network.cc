#include "shim/network/network.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "base/netlink/netns.h"
#include "base/netlink/rtnetlink.h"
#include "shim/network/scan.h"
#include "shim/network/tap.h"

namespace coffer::shim {
namespace {

constexpr std::string_view kTapSuffix = "_kata";

Result<bool> is_own_namespace(int netns_fd) {
  struct stat theirs{};
  struct stat ours{};
  if (::fstat(netns_fd, &theirs) != 0 || ::stat("/proc/self/ns/net", &ours) != 0) {
    return fail_errno(errno, "look at the network namespace");
  }
  return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

// Both qdisc calls take RTNL's lock, which a CNI plugin may hold: the kernel then says EBUSY.
Status fresh_ingress_qdisc(netlink::Rtnetlink& rtnetlink, int index) {
  constexpr int kTries = 5;
  Status status;
  for (int i = 0; i < kTries; ++i) {
    status = rtnetlink.add_ingress_qdisc(index);
    if (status) return status;
    // One is left from a pod that was killed: ours to replace.
    if (status.error().code() == Code::kAlreadyExists) {
      COFFER_TRY_VOID(rtnetlink.delete_ingress_qdisc(index));
    }
  }
  return status;
}

// Takes one wire down; what is gone already is no error.
Status unwire(netlink::Rtnetlink& rtnetlink, const PodNetwork::Wire& wire) {
  const auto is_gone = [](const Error& error) {
    // Deleting a qdisc that is not there is EINVAL.
    return error.code() == Code::kNotFound || error.code() == Code::kInvalidArgument;
  };
  if (const auto tap = rtnetlink.link(wire.tap); tap && tap->kind == "tun") {
    if (auto status = rtnetlink.delete_link(tap->index); !status && !is_gone(status.error())) {
      return status;
    }
  }
  const auto link = rtnetlink.link(wire.link);
  if (!link) return is_gone(link.error()) ? Status{} : fail(link.error());
  if (auto status = rtnetlink.delete_ingress_qdisc(link->index);
      !status && !is_gone(status.error())) {
    return status;
  }
  return {};
}

Result<Endpoint> wire(netlink::Rtnetlink& rtnetlink, const netlink::Link& link,
                      const NamespaceContents& contents, std::size_t position,
                      const NetworkOptions& options) {
  Endpoint endpoint;
  endpoint.interface = describe_interface(link, contents);
  endpoint.tap = fmt::format("tap{}{}", position, kTapSuffix);
  // A tap of a killed pod is gone with its QEMU; should one be left, it is not this pod's.
  if (const auto old = rtnetlink.link(endpoint.tap); old && old->kind == "tun") {
    COFFER_TRY_VOID(rtnetlink.delete_link(old->index));
  }
  COFFER_TRY(endpoint.taps, make_tap(endpoint.tap, options.queues));
  COFFER_TRY(const auto tap, rtnetlink.link(endpoint.tap));
  if (link.mtu != 0) COFFER_TRY_VOID(rtnetlink.set_mtu(tap.index, link.mtu));
  COFFER_TRY_VOID(rtnetlink.set_up(tap.index, true));
  COFFER_TRY_VOID(fresh_ingress_qdisc(rtnetlink, tap.index));
  COFFER_TRY_VOID(fresh_ingress_qdisc(rtnetlink, link.index));
  COFFER_TRY_VOID(rtnetlink.redirect_ingress(link.index, tap.index));
  COFFER_TRY_VOID(rtnetlink.redirect_ingress(tap.index, link.index));
  if (options.vhost) endpoint.vhosts = open_vhost_net(options.queues);
  return endpoint;
}

// Runs inside the pod's namespace.
Status connect_inside(PodNetwork& network, const NetworkOptions& options) {
  COFFER_TRY(auto rtnetlink, netlink::Rtnetlink::open());
  COFFER_TRY(const auto contents, read_namespace(rtnetlink));
  COFFER_TRY(const auto links, guest_links(contents));
  for (const auto& link : links) {
    network.wires.push_back({link.name, fmt::format("tap{}{}", network.wires.size(), kTapSuffix)});
    auto endpoint = wire(rtnetlink, link, contents, network.endpoints.size(), options);
    if (!endpoint) {
      network.endpoints.clear();
      for (const auto& made : network.wires) (void)unwire(rtnetlink, made);
      return fail(std::move(endpoint).error().with_context(fmt::format("wire '{}'", link.name)));
    }
    network.endpoints.push_back(*std::move(endpoint));
  }
  network.routes = describe_routes(links, contents);
  network.neighbours = describe_neighbours(links, contents);
  return {};
}

Result<std::vector<PodNetwork::Wire>> wires_of(const nlohmann::json& record) {
  std::vector<PodNetwork::Wire> wires;
  const auto list = record.find("wires");
  if (list == record.end() || !list->is_array()) {
    return fail(Code::kInvalidArgument, "network record: no 'wires'");
  }
  for (const auto& item : *list) {
    const auto text = [&](const char* key) -> std::string {
      const auto it = item.is_object() ? item.find(key) : item.end();
      return it != item.end() && it->is_string() ? it->get<std::string>() : "";
    };
    PodNetwork::Wire wire{text("link"), text("tap")};
    if (wire.link.empty() || !wire.tap.starts_with("tap") || !wire.tap.ends_with(kTapSuffix)) {
      return fail(Code::kInvalidArgument, "network record: a wire without 'link' or 'tap'");
    }
    wires.push_back(std::move(wire));
  }
  return wires;
}

}  // namespace

std::string PodNetwork::record() const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& wire : wires) list.push_back({{"link", wire.link}, {"tap", wire.tap}});
  return nlohmann::json{{"netns", netns}, {"wires", list}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<PodNetwork> connect_network(const std::filesystem::path& netns,
                                   const NetworkOptions& options) {
  if (options.model == NetworkModel::kMacvtap) {
    return fail(Code::kUnimplemented,
                "internetworking_model = \"macvtap\": not supported (use \"tcfilter\")");
  }
  COFFER_TRY(const Fd fd, netlink::open_netns(netns));
  COFFER_TRY(const bool own, is_own_namespace(fd.get()));
  if (own) {
    return fail(Code::kFailedPrecondition,
                fmt::format("connect '{}': it is the host's network, which a VM cannot share",
                            netns.native()));
  }
  PodNetwork network;
  network.netns = netns.native();
  if (options.model == NetworkModel::kNone) return network;
  COFFER_TRY_VOID(netlink::in_netns(fd.get(), [&] { return connect_inside(network, options); }));
  return network;
}

Status disconnect_network(std::string_view record) {
  COFFER_TRY(const auto json, parse_json(record, "network record"));
  const auto netns = json.is_object() ? json.find("netns") : json.end();
  if (netns == json.end() || !netns->is_string()) {
    return fail(Code::kInvalidArgument, "network record: no 'netns'");
  }
  COFFER_TRY(const auto wires, wires_of(json));
  if (wires.empty()) return {};
  const auto fd = netlink::open_netns(netns->get<std::string>());
  // The namespace and all in it are gone; what stands at its path is no namespace any more.
  if (!fd) return {};
  return netlink::in_netns(fd->get(), [&]() -> Status {
    COFFER_TRY(auto rtnetlink, netlink::Rtnetlink::open());
    Status status;
    for (const auto& wire : wires) {
      if (auto result = unwire(rtnetlink, wire); !result) status = std::move(result);
    }
    return status;
  });
}

Status create_netns(const std::filesystem::path& path) {
  COFFER_TRY_VOID(write_file(path, "", 0444));
  Status status;
  std::thread([&] {
    status = [&]() -> Status {
      if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "create a network namespace");
      if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        return fail_errno(errno, fmt::format("mount a network namespace on '{}'", path.native()));
      }
      COFFER_TRY(auto rtnetlink, netlink::Rtnetlink::open());
      COFFER_TRY(const auto loopback, rtnetlink.link("lo"));
      return rtnetlink.set_up(loopback.index, true);
    }();
  }).join();
  if (!status) (void)remove_netns(path);
  return status;
}

Status remove_netns(const std::filesystem::path& path) {
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
    return fail_errno(errno, fmt::format("unmount '{}'", path.native()));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("remove '{}'", path.native()));
  }
  return {};
}

}  // namespace coffer::shim
