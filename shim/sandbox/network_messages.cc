#include "shim/sandbox/network_messages.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "shim/sandbox/guest_spec.h"

namespace coffer::shim {
namespace {

types::IPFamily family(bool v6) { return v6 ? types::IPFamily::v6 : types::IPFamily::v4; }

}  // namespace

types::Interface interface_message(const GuestInterface& interface) {
  types::Interface message;
  message.set_device(interface.name);
  message.set_name(interface.name);
  message.set_mtu(interface.mtu);
  message.set_hwaddr(interface.mac);
  message.set_type(interface.type);
  message.set_raw_flags(interface.raw_flags);
  for (const GuestAddress& address : interface.addresses) {
    types::IPAddress& added = *message.add_ipaddresses();
    added.set_family(family(address.v6));
    added.set_address(address.address);
    added.set_mask(std::to_string(address.prefix));
  }
  return message;
}

grpc::UpdateRoutesRequest routes_message(const std::vector<GuestRoute>& routes) {
  grpc::UpdateRoutesRequest request;
  for (const GuestRoute& route : routes) {
    types::Route& added = *request.mutable_routes()->add_routes();
    added.set_dest(route.destination);
    added.set_gateway(route.gateway);
    added.set_device(route.device);
    added.set_source(route.source);
    added.set_scope(route.scope);
    added.set_family(family(route.v6));
    added.set_flags(route.flags);
    added.set_mtu(route.mtu);
  }
  return request;
}

grpc::AddARPNeighborsRequest neighbours_message(const std::vector<GuestNeighbour>& neighbours) {
  grpc::AddARPNeighborsRequest request;
  for (const GuestNeighbour& neighbour : neighbours) {
    types::ARPNeighbor& added = *request.mutable_neighbors()->add_arpneighbors();
    added.mutable_toipaddress()->set_family(family(neighbour.v6));
    added.mutable_toipaddress()->set_address(neighbour.address);
    added.set_device(neighbour.device);
    added.set_lladdr(neighbour.mac);
    added.set_state(neighbour.state);
    added.set_flags(neighbour.flags);
  }
  return request;
}

void add_sandbox_storages(grpc::CreateSandboxRequest& request, SharedFs shared_fs,
                          std::uint64_t msize, std::uint64_t shm_bytes) {
  if (shared_fs != SharedFs::kNone) {
    grpc::Storage& share = *request.add_storages();
    const bool is_9p = shared_fs == SharedFs::kVirtio9p;
    share.set_driver(is_9p ? "9p" : "virtio-fs");
    share.set_source(std::string(kShareTag));
    share.set_fstype(is_9p ? "9p" : "virtiofs");
    share.set_mount_point(std::string(kGuestShareDir));
    if (is_9p) {
      share.add_options("trans=virtio");
      share.add_options("version=9p2000.L");
      // Host files change under the guest: only mmap may use the page cache.
      share.add_options("cache=mmap");
      share.add_options(fmt::format("msize={}", msize));
    }
    share.add_options("nodev");
  }
  grpc::Storage& shm = *request.add_storages();
  shm.set_driver("ephemeral");
  shm.set_source("shm");
  shm.set_fstype("tmpfs");
  shm.set_mount_point(std::string(kGuestShm));
  for (const char* option : {"noexec", "nosuid", "nodev", "mode=1777"}) shm.add_options(option);
  shm.add_options(fmt::format("size={}", shm_bytes));
}

void add_kernel_modules(grpc::CreateSandboxRequest& request,
                        const std::vector<std::string>& modules) {
  for (std::string_view rest : modules) {
    grpc::KernelModule* module = nullptr;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(' '), rest.size());
      const std::string word(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (word.empty()) continue;
      if (module == nullptr) {
        module = request.add_kernel_modules();
        module->set_name(word);
      } else {
        module->add_parameters(word);
      }
    }
  }
}

}  // namespace coffer::shim
