#include "guest-agent/storage.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/fd.h"
#include "base/json.h"
#include "guest-agent/children.h"
#include "guest-agent/device.h"
#include "guest-agent/modules.h"
#include "guest-agent/mounts.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOverlayRw = "io.katacontainers.fs-opt.overlay-rw";
constexpr std::string_view kOverlayMkdir = "io.katacontainers.volume.overlayfs.create_directory=";
constexpr std::string_view kGuestPull = "image_guest_pull=";

// Sorted by name.
constexpr std::array<std::string_view, 12> kDrivers{
    "9p",      "bind",   "blk",       "ephemeral", "image_guest_pull", "local",
    "mmioblk", "nvdimm", "overlayfs", "scsi",      "virtio-fs",        "watchable-bind"};

std::vector<std::string> options_of(const grpc::Storage& storage) {
  return {storage.options().begin(), storage.options().end()};
}

std::optional<std::uint32_t> number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// `name=NUMBER` among the options; kInvalidArgument when it is there and no number.
Result<std::optional<std::uint32_t>> number_option(const grpc::Storage& storage,
                                                   std::string_view name, int base) {
  for (const auto& option : storage.options()) {
    if (!option.starts_with(name)) continue;
    const auto value = number(std::string_view(option).substr(name.size()), base);
    if (!value)
      return fail(Code::kInvalidArgument, fmt::format("read option '{}': not a number", option));
    return value;
  }
  return std::nullopt;
}

Status set_group(const Fd& directory, const std::string& path, std::uint32_t gid) {
  struct stat info{};
  if (::fchown(directory.get(), static_cast<uid_t>(-1), gid) != 0 ||
      ::fstat(directory.get(), &info) != 0 ||
      ::fchmod(directory.get(), (info.st_mode & 07777) | S_ISGID | 0070) != 0)
    return fail_errno(errno, fmt::format("give '{}' to group {}", path, gid));
  return {};
}

// hugetlbfs: the pages are reserved first, so that a container is not killed for want of one.
Status reserve_huge_pages(const grpc::Storage& storage) {
  std::uint64_t page = 0;
  std::uint64_t size = 0;
  const auto read = [](std::string_view text, std::uint64_t& out) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
    return result.ec == std::errc{};
  };
  for (const std::string_view option : storage.options()) {
    if (option.starts_with("pagesize=")) read(option.substr(9), page);
    if (option.starts_with("size=")) read(option.substr(5), size);
  }
  if (page < 1024 || size == 0)
    return fail(Code::kInvalidArgument,
                "mount hugetlbfs: want the options pagesize= and size=, in bytes");
  const auto file = fs::path("/sys/kernel/mm/hugepages") /
                    fmt::format("hugepages-{}kB/nr_hugepages", page / 1024);
  const auto pages = fmt::format("{}", size / page);
  COFFER_TRY_VOID(write_file(file, pages));
  COFFER_TRY(auto got, read_file(file, 64));
  while (!got.empty() && got.back() == '\n') got.pop_back();
  if (got != pages)
    return fail(Code::kResourceExhausted,
                fmt::format("reserve {} huge pages of {} bytes: got {}", pages, page, got));
  return {};
}

Status make_local(const grpc::Storage& storage) {
  COFFER_TRY_VOID(check_path(storage.mount_point(), "mount point"));
  COFFER_TRY(const auto gid, number_option(storage, "fsgid=", 10));
  COFFER_TRY(const auto mode, number_option(storage, "mode=", 8));
  COFFER_TRY(const auto directory, open_directories(storage.mount_point()));
  if (mode && ::fchmod(directory.get(), *mode & 07777U) != 0)
    return fail_errno(errno, fmt::format("set mode of '{}'", storage.mount_point()));
  return gid ? set_group(directory, storage.mount_point(), *gid) : Status{};
}

// As the kernel sees it: "/a//b/./" is "/a/b". It has no ".." (check_path).
std::string key_of(const std::string& mount_point) {
  auto path = fs::path(mount_point).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).native();
}

// Storage has no map: equal messages of one sender give equal bytes.
std::string serialised(const grpc::Storage& storage) { return storage.SerializeAsString(); }

std::string name_of(const grpc::Storage& storage) {
  return fmt::format("storage '{}' of '{}' at '{}'", storage.driver(), storage.source(),
                     storage.mount_point());
}

Result<nlohmann::json> pull_metadata(const grpc::Storage& storage) {
  for (const std::string_view option : storage.driver_options()) {
    if (!option.starts_with(kGuestPull)) continue;
    COFFER_TRY(auto document, parse_json(option.substr(kGuestPull.size()), "image_guest_pull"));
    return document;
  }
  return fail(Code::kInvalidArgument,
              "pull an image: driver_options has no 'image_guest_pull=' entry");
}

std::map<std::string, std::string> text_members(const nlohmann::json& document) {
  std::map<std::string, std::string> out;
  const auto metadata = document.is_object() ? document.find("metadata") : document.end();
  if (!document.is_object() || metadata == document.end() || !metadata->is_object()) return out;
  for (const auto& [key, value] : metadata->items())
    if (value.is_string()) out.emplace(key, value.get<std::string>());
  return out;
}

}  // namespace

bool is_sandbox_container(const std::map<std::string, std::string>& annotations) {
  for (const char* key : {"io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"})
    if (const auto found = annotations.find(key); found != annotations.end())
      return found->second == "sandbox";
  return false;
}

Storages::Storages(const asio::any_io_executor& executor, StoragePaths paths, DeviceFinder& devices,
                   ChildRegistry& children, Modules& modules, ImageStore* images, Logger log)
    : paths_(std::move(paths)),
      devices_(devices),
      children_(children),
      modules_(modules),
      images_(images),
      log_(std::move(log)),
      turn_(executor) {}

std::vector<std::string> Storages::drivers() { return {kDrivers.begin(), kDrivers.end()}; }

Task<Result<std::vector<std::string>>> Storages::add_all(std::vector<grpc::Storage> storages,
                                                         std::string container_id, bool pause) {
  const auto lock = co_await turn_.lock();
  std::vector<std::string> added;
  for (const auto& storage : storages) {
    const auto refuse = [&](Error error) {
      release(added);
      return fail(std::move(error).with_context(fmt::format("add storage '{}'", storage.driver())));
    };
    if (auto path = check_path(storage.mount_point(), "mount point"); !path)
      co_return refuse(std::move(path).error());
    const auto key = key_of(storage.mount_point());
    auto bytes = serialised(storage);
    const auto there = is_there(storage, key, bytes);
    if (!there) co_return refuse(there.error());
    if (*there) {
      ++entries_.at(key).users;
      added.push_back(key);
      continue;
    }
    auto mounted = co_await mount_one(storage, container_id, pause);
    if (!mounted) co_return refuse(std::move(mounted).error());
    entries_.emplace(key, Entry{.users = 1,
                                .storage = std::move(bytes),
                                .name = name_of(storage),
                                .keep = storage.shared(),
                                .mounted = *mounted});
    added.push_back(key);
  }
  co_return added;
}

Result<bool> Storages::is_there(const grpc::Storage& storage, const std::string& key,
                                const std::string& bytes) const {
  const auto refuse = [&](std::string_view where, const Entry& other) {
    return fail(Code::kInvalidArgument,
                fmt::format("{} is {} {}: want the same one, or a mount point of its own",
                            name_of(storage), where, other.name));
  };
  if (const auto found = entries_.find(key); found != entries_.end()) {
    if (found->second.storage == bytes) return true;
    return refuse("another storage at the mount point of", found->second);
  }
  // What stands below would be hidden.
  const auto below = entries_.lower_bound(key == "/" ? key : key + "/");
  if (below != entries_.end() && (key == "/" || below->first.starts_with(key + "/")))
    return refuse("to be mounted over", below->second);
  return false;
}

void Storages::release(const std::vector<std::string>& mount_points) {
  for (auto key = mount_points.rbegin(); key != mount_points.rend(); ++key) {
    const auto found = entries_.find(*key);
    if (found == entries_.end() || --found->second.users > 0 || found->second.keep) continue;
    const bool mounted = found->second.mounted;
    entries_.erase(found);
    if (!mounted) continue;
    if (auto status = unmount(*key); !status)
      log_.warn("storage was not unmounted", {{"error", status.error()}});
    else
      ::rmdir(key->c_str());
  }
}

Status Storages::plain_mount(const grpc::Storage& storage, const std::string& source,
                             const std::string& type) {
  if (type == "9p") COFFER_TRY_VOID(modules_.load("9pnet_virtio"));
  COFFER_TRY_VOID(modules_.load(type));
  const auto options = options_of(storage);
  COFFER_TRY_VOID(mount_at(
      {.source = source, .target = storage.mount_point(), .type = type, .options = options}));
  if (!storage.has_fs_group()) return {};
  const bool read_only = std::ranges::find(options, "ro") != options.end();
  return apply_fs_group(
      storage.mount_point(), storage.fs_group().group_id(), read_only,
      storage.fs_group().group_change_policy() == types::FSGroupChangePolicy::OnRootMismatch);
}

Status Storages::mount_ephemeral(const grpc::Storage& storage) {
  if (storage.fstype() == "hugetlbfs") {
    COFFER_TRY_VOID(reserve_huge_pages(storage));
    return plain_mount(storage, storage.source(), storage.fstype());
  }
  COFFER_TRY(const auto gid, number_option(storage, "fsgid=", 10));
  auto bare = storage;
  // As Kata does: the size of a memory volume is the guest's, not the host's, until it is resized.
  bare.clear_options();
  COFFER_TRY_VOID(plain_mount(bare, storage.source(), storage.fstype()));
  if (!gid) return {};
  COFFER_TRY(const auto root, open_directories(storage.mount_point()));
  return set_group(root, storage.mount_point(), *gid);
}

Task<Result<bool>> Storages::mount_one(const grpc::Storage& storage,
                                       const std::string& container_id, bool pause) {
  const auto& driver = storage.driver();
  COFFER_CO_TRY_VOID(check_path(storage.mount_point(), "mount point"));
  if (driver == "9p" || driver == "virtio-fs" || driver == "bind") {
    const std::string type = driver == "9p" ? "9p" : driver == "virtio-fs" ? "virtiofs" : "bind";
    if (storage.source() == "kataShared" && is_mount_point(storage.mount_point())) co_return false;
    COFFER_CO_TRY_VOID(plain_mount(storage, storage.source(), type));
    co_return true;
  }
  if (driver == "watchable-bind") {
    // The bind shows the host's changes by itself on 9p and virtio-fs with cache=none.
    auto bind = storage;
    bind.add_options("bind");
    COFFER_CO_TRY_VOID(plain_mount(bind, storage.source(), "bind"));
    co_return true;
  }
  if (driver == "ephemeral") {
    COFFER_CO_TRY_VOID(mount_ephemeral(storage));
    co_return false;
  }
  if (driver == "local") {
    COFFER_CO_TRY_VOID(make_local(storage));
    co_return false;
  }
  if (driver == "overlayfs") co_return mount_overlay(storage, container_id);
  if (driver == "image_guest_pull") co_return co_await pull_image(storage, container_id, pause);
  Result<std::string> device = std::string();
  if (driver == "blk" && !storage.source().starts_with("/dev/"))
    device = co_await devices_.block_by_pci_path(storage.source());
  else if (driver == "blk" || driver == "mmioblk" || driver == "nvdimm")
    device = co_await devices_.node(storage.source());
  else if (driver == "scsi")
    device = co_await devices_.block_by_scsi_address(storage.source());
  else
    co_return fail(
        Code::kUnimplemented,
        fmt::format("Failed to find the storage handler {} (this agent has none)", driver));
  if (!device) co_return fail(std::move(device).error());
  co_return co_await mount_block(storage, *std::move(device));
}

Task<Result<bool>> Storages::mount_block(const grpc::Storage& storage, std::string device) {
  bool create = false;
  for (const auto& option : storage.driver_options()) {
    if (option == "create_filesystem") create = true;
    if (option.starts_with("encryption_key="))
      // Never fall back to a volume in clear: the tenant asked for an encrypted one.
      co_return fail(Code::kUnimplemented,
                     fmt::format("mount '{}': encrypted volumes are not supported by this agent",
                                 storage.mount_point()));
  }
  if (create) {
    if (storage.fstype() != "ext4")
      co_return fail(Code::kInvalidArgument,
                     fmt::format("make a file system: got '{}', want ext4", storage.fstype()));
    SpawnOptions options;
    options.argv = {"/sbin/mkfs.ext4", "-F", "-q",  "-O",  "^has_journal", "-m", "0", "-i",
                    "163840",          "-I", "128", device};
    auto ran = co_await run_program(children_, std::move(options));
    if (!ran) co_return fail(std::move(ran).error());
    if (ran->status.as_shell() != 0)
      co_return fail(Code::kInternal,
                     fmt::format("make a file system on '{}': {}", device, ran->err));
  }
  COFFER_CO_TRY_VOID(plain_mount(storage, device, storage.fstype()));
  co_return true;
}

Result<bool> Storages::mount_overlay(const grpc::Storage& storage,
                                     const std::string& container_id) {
  for (const std::string_view option : storage.driver_options()) {
    if (!option.starts_with(kOverlayMkdir)) continue;
    const auto directory = option.substr(kOverlayMkdir.size());
    COFFER_TRY_VOID(open_directories(std::string(directory)));
  }
  auto edited = storage;
  edited.clear_options();
  bool writable = false;
  for (const auto& option : storage.options()) {
    if (option == kOverlayRw)
      writable = true;
    else
      edited.add_options(option);
  }
  if (writable) {
    if (container_id.empty())
      return fail(Code::kInvalidArgument, "mount a writable overlay: it needs a container");
    for (const char* name : {"upper", "work"}) {
      const auto directory = paths_.base / container_id / name;
      std::error_code error;
      fs::create_directories(directory, error);
      if (error)
        return fail_errno(error.value(), fmt::format("make directory '{}'", directory.string()));
      edited.add_options(fmt::format("{}dir={}", name, directory.string()));
    }
  }
  COFFER_TRY_VOID(plain_mount(edited, "overlay", writable ? "overlay" : storage.fstype()));
  return true;
}

Task<Result<bool>> Storages::pull_image(const grpc::Storage& storage,
                                        const std::string& container_id, bool pause) {
  if (container_id.empty())
    co_return fail(Code::kInvalidArgument, "pull an image: it needs a container");
  COFFER_CO_TRY(const auto document, pull_metadata(storage));
  auto metadata = text_members(document);
  const auto bundle = paths_.base / container_id;
  // No policy of Kata's looks at the metadata: it may not say more than the annotations do.
  if (is_sandbox_container(metadata) != pause)
    co_return fail(Code::kInvalidArgument,
                   "pull an image: its metadata and the container's annotations do not agree on "
                   "whether it is the pod's own container");
  if (pause) {
    // The pause container is part of the measured image: nothing is pulled for it.
    std::error_code error;
    fs::create_directories(bundle, error);
    fs::copy(paths_.pause_bundle / "rootfs", bundle / "rootfs",
             fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    if (error)
      co_return fail_errno(error.value(),
                           fmt::format("copy the pause bundle '{}'", paths_.pause_bundle.string()));
    co_return false;
  }
  if (images_ == nullptr)
    co_return fail(Code::kUnimplemented,
                   fmt::format("storage 'image_guest_pull' for '{}': this agent cannot pull images",
                               storage.source()));
  COFFER_CO_TRY_VOID(co_await images_->pull(storage.source(), std::move(metadata), bundle));
  co_return false;
}

Status Storages::update_ephemeral(const grpc::Storage& storage) {
  if (storage.driver() != "ephemeral")
    return fail(Code::kInvalidArgument,
                fmt::format("update mount: got driver '{}', want ephemeral", storage.driver()));
  COFFER_TRY_VOID(check_path(storage.mount_point(), "mount point"));
  std::vector<std::string> options;
  for (const auto& option : storage.options())
    if (!option.starts_with("fsgid=")) options.push_back(option);
  if (options.empty()) return {};
  if (is_mount_point(storage.mount_point()) &&
      std::ranges::find(options, "remount") == options.end())
    options.emplace_back("remount");
  return mount_at({.source = storage.source(),
                   .target = storage.mount_point(),
                   .type = storage.fstype(),
                   .options = options});
}

}  // namespace coffer::agent
