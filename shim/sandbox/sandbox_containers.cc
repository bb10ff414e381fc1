// A container's part in a sandbox: its root file system, its mounts, and its request to the agent.
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shim/sandbox/copy_files.h"
#include "shim/sandbox/guest_spec.h"
#include "shim/sandbox/sandbox.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kVirtualVolume = "io.katacontainers.volume=";

bool is_block_device(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

bool wants_guest_pull(const ContainerRequest& request) {
  return std::ranges::any_of(request.rootfs, [](const HostMount& mount) {
    return std::ranges::any_of(mount.options, [](const std::string& option) {
      return option.starts_with(kVirtualVolume);
    });
  });
}

std::string image_name(const ContainerRequest& request) {
  if (request.role == Role::kSandbox) return "pause";
  const auto& annotations = request.spec.annotations();
  for (const char* key : {"io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"}) {
    if (const auto found = annotations.find(key); found != annotations.end()) return found->second;
  }
  return {};
}

std::string guest_rootfs(std::string_view container_id) {
  return fmt::format("{}/{}/rootfs", kGuestRunDir, container_id);
}

void set_bind(grpc::Mount& mount, std::string source) {
  mount.set_type("bind");
  mount.set_source(std::move(source));
}

}  // namespace

Task<Status> Sandbox::create_container(ContainerRequest request) {
  const std::string id = request.id;
  Result<Parts> parts = co_await prepare(request);
  if (!parts) {
    co_await release(id);
    co_return std::unexpected(std::move(parts).error());
  }
  GuestSpecOptions options;
  options.role = request.role;
  options.bundle = request.bundle.native();
  options.root_path = parts->root_path;
  options.keep_seccomp = !config_.runtime.disable_guest_seccomp;
  options.selinux_label = config_.runtime.guest_selinux_label;
  grpc::CreateContainerRequest create;
  create.set_container_id(id);
  create.set_exec_id(id);
  create.set_sandbox_pidns(rewrite_spec(request.spec, options) && request.role == Role::kContainer);
  for (grpc::Storage& storage : parts->storages) *create.add_storages() = std::move(storage);
  for (grpc::Device& device : parts->devices) *create.add_devices() = std::move(device);
  *create.mutable_oci() = std::move(request.spec);
  const std::chrono::milliseconds timeout(config_.agent.create_container_timeout_ms);
  Status created = co_await agent_->command("CreateContainer", std::move(create), timeout);
  if (created) {
    phases_.mark("container_created");
  } else {
    co_await release(id);
  }
  co_return created;
}

Task<Result<Sandbox::Parts>> Sandbox::prepare(ContainerRequest& request) {
  Parts parts;
  Status rooted = co_await prepare_rootfs(request, parts);
  if (!rooted) {
    co_return std::unexpected(
        std::move(rooted).error().with_context("prepare the root file system"));
  }
  Status mounted = co_await prepare_mounts(request, parts);
  if (!mounted) co_return std::unexpected(std::move(mounted).error());
  co_return parts;
}

Task<Status> Sandbox::prepare_rootfs(const ContainerRequest& request, Parts& parts) {
  if (config_.runtime.force_guest_pull || wants_guest_pull(request)) {
    co_return pull_rootfs(request, parts);
  }
  const bool block = request.rootfs.size() == 1 && !config_.hypervisor.disable_block_device_use &&
                     request.rootfs[0].source.starts_with("/dev/") &&
                     is_block_device(request.rootfs[0].source);
  if (block) {
    Status plugged = co_await plug_rootfs(request, parts);
    co_return plugged;
  }
  if (!shares_) {
    // Without a share the image can only come from inside.
    co_return pull_rootfs(request, parts);
  }
  fs::path rootfs = request.spec.root().path();
  if (rootfs.is_relative()) rootfs = request.bundle / rootfs;
  COFFER_CO_TRY(parts.root_path, shares_->mount_rootfs(request.id, request.rootfs, rootfs));
  co_return Status{};
}

Task<Status> Sandbox::plug_rootfs(const ContainerRequest& request, Parts& parts) {
  const HostMount& mount = request.rootfs[0];
  VmDisk disk;
  disk.id = "rootfs-" + request.id.substr(0, 12);
  disk.path = mount.source;
  disk.read_only = std::ranges::find(mount.options, "ro") != mount.options.end();
  const std::string disk_id = disk.id;
  Result<std::string> pci_path = co_await machine_->plug_disk(std::move(disk));
  if (!pci_path) co_return std::unexpected(std::move(pci_path).error());
  disks_[request.id].push_back(disk_id);
  parts.root_path = guest_rootfs(request.id);
  grpc::Storage& storage = parts.storages.emplace_back();
  storage.set_driver("blk");
  storage.set_source(*std::move(pci_path));
  storage.set_fstype(mount.type);
  storage.set_mount_point(parts.root_path);
  for (const std::string& option : mount.options) storage.add_options(option);
  co_return Status{};
}

Status Sandbox::pull_rootfs(const ContainerRequest& request, Parts& parts) {
  const std::string image = image_name(request);
  if (image.empty()) {
    return fail(Code::kFailedPrecondition,
                "choose the image to pull in the guest: no annotation "
                "'io.kubernetes.cri.image-name' (this class shares no files with the guest)");
  }
  nlohmann::json metadata = nlohmann::json::object();
  for (const auto& [key, value] : request.spec.annotations()) metadata[key] = value;
  parts.root_path = guest_rootfs(request.id);
  grpc::Storage& storage = parts.storages.emplace_back();
  storage.set_driver("image_guest_pull");
  storage.add_driver_options("image_guest_pull=" +
                             nlohmann::json{{"metadata", std::move(metadata)}}.dump());
  storage.set_source(image);
  storage.set_fstype("overlay");
  storage.set_mount_point(parts.root_path);
  return {};
}

Task<Status> Sandbox::prepare_mounts(ContainerRequest& request, Parts& parts) {
  auto* mounts = request.spec.mutable_mounts();
  std::vector<bool> dropped;
  for (grpc::Mount& mount : *mounts) {
    bool drop = false;
    Status done = co_await prepare_mount(request.id, mount, parts, drop);
    if (!done) {
      co_return std::unexpected(
          std::move(done).error().with_context(fmt::format("mount '{}'", mount.destination())));
    }
    dropped.push_back(drop);
  }
  for (int i = mounts->size(); i > 0; --i) {
    if (dropped[static_cast<std::size_t>(i - 1)]) mounts->DeleteSubrange(i - 1, 1);
  }
  co_return Status{};
}

Task<Status> Sandbox::prepare_mount(const std::string& container_id, grpc::Mount& mount,
                                    Parts& parts, bool& drop) {
  switch (classify_mount(mount)) {
    case MountKind::kGuest:
      co_return Status{};
    case MountKind::kShm:
      set_bind(mount, std::string(kGuestShm));
      co_return Status{};
    case MountKind::kEphemeral: {
      grpc::Storage& storage = parts.storages.emplace_back();
      ephemeral_storage(mount.source(), shares_.has_value(), storage);
      if (storage.driver().empty()) {
        parts.storages.pop_back();
        break;  // on a disk of the host: shared like any folder
      }
      set_bind(mount, storage.mount_point());
      co_return Status{};
    }
    case MountKind::kHost:
      break;
  }
  if (shares_) {
    COFFER_CO_TRY(std::string source, shares_->share(container_id, mount.source(),
                                                     mount.destination(), is_read_only(mount)));
    set_bind(mount, std::move(source));
    co_return Status{};
  }
  FileCopier copier(*agent_);
  const std::string target = fmt::format(
      "{}/{}", kGuestShareDir, share_name(container_id, next_copy_++, mount.destination()));
  const std::string source = mount.source();
  Result<bool> copied = co_await copier.copy(source, target);
  if (!copied) co_return std::unexpected(std::move(copied).error());
  drop = !*copied;
  if (drop) {
    log_.warn("mount dropped: a socket, device or fifo of the host cannot be copied to the guest",
              {{"source", source}, {"destination", mount.destination()}});
  }
  set_bind(mount, target);
  co_return Status{};
}

Task<void> Sandbox::release(std::string container_id) {
  if (const auto found = disks_.find(container_id); found != disks_.end()) {
    const std::vector<std::string> disks = std::move(found->second);
    disks_.erase(found);
    for (const std::string& disk : disks) {
      Status unplugged = co_await machine_->unplug_disk(disk);
      if (!unplugged)
        log_.warn("disk stays plugged", {{"disk", disk}, {"error", unplugged.error()}});
    }
  }
  if (!shares_) co_return;
  if (const auto taken = shares_->unshare(container_id); !taken) {
    log_.warn("a share stays", {{"container", container_id}, {"error", taken.error()}});
  }
}

Task<void> Sandbox::remove_container(std::string id) {
  if (stopping_) co_return;  // everything goes at once
  if (!agent_->closed()) {
    grpc::RemoveContainerRequest request;
    request.set_container_id(id);
    Status removed = co_await agent_->command("RemoveContainer", std::move(request));
    if (!removed) {
      log_.warn("container stays in the guest", {{"container", id}, {"error", removed.error()}});
    }
  }
  if (!stopping_) co_await release(std::move(id));
}

}  // namespace coffer::shim
