#include "shim/sandbox/shares.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/random.h>

#include "shim/sandbox/guest_spec.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

Status make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), fmt::format("make '{}'", path.native()));
  return {};
}

Status change_mount(const char* source, const fs::path& target, unsigned long flags,
                    std::string_view what) {
  if (::mount(source, target.c_str(), nullptr, flags, nullptr) == 0) return {};
  return fail_errno(errno, fmt::format("{} '{}'", what, target.native()));
}

Status lay_out(const fs::path& mounts, const fs::path& shared) {
  COFFER_TRY_VOID(make_directories(mounts));
  COFFER_TRY_VOID(make_directories(shared));
  COFFER_TRY_VOID(change_mount(mounts.c_str(), mounts, MS_BIND, "bind"));
  // Out of the host's peer group, into one of its own.
  COFFER_TRY_VOID(change_mount(nullptr, mounts, MS_PRIVATE, "make private"));
  COFFER_TRY_VOID(change_mount(nullptr, mounts, MS_SHARED, "make shared"));
  COFFER_TRY_VOID(change_mount(mounts.c_str(), shared, MS_BIND, "bind"));
  COFFER_TRY_VOID(change_mount(nullptr, shared, MS_SLAVE, "make a slave of"));
  return change_mount(nullptr, shared, MS_REMOUNT | MS_BIND | MS_RDONLY, "make read-only");
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  check(::getrandom(&number, sizeof(number), 0) == static_cast<ssize_t>(sizeof(number)),
        "getrandom failed");
  return number;
}

}  // namespace

std::string share_name(std::string_view container_id, std::uint64_t number,
                       std::string_view destination) {
  std::string base = fs::path(destination).lexically_normal().filename().native();
  if (base.empty()) base = "root";
  return fmt::format("{}-{:016x}-{}", container_id, number, base);
}

Result<Shares> Shares::create(const fs::path& root, std::string_view sandbox_id) {
  Shares shares(root / sandbox_id);
  // A folder left by a killed shim of the same id.
  COFFER_TRY_VOID(remove_tree(shares.folder_));
  if (auto made = lay_out(shares.folder_ / "mounts", shares.folder_ / "shared"); !made) {
    [[maybe_unused]] const auto undone = remove_tree(shares.folder_);
    return std::unexpected(std::move(made).error());
  }
  shares.next_ = random_number();
  return shares;
}

Result<std::string> Shares::share(std::string_view container_id, const fs::path& source,
                                  std::string_view destination, bool read_only) {
  const std::string name = share_name(container_id, next_++, destination);
  const fs::path target = folder_ / "mounts" / name;
  owned_[std::string(container_id)].push_back(target);
  COFFER_TRY_VOID(bind_mount(source, target, read_only));
  return fmt::format("{}/{}", kGuestShareDir, name);
}

Result<std::string> Shares::mount_rootfs(std::string_view container_id,
                                         std::span<const HostMount> mounts,
                                         const fs::path& bundle_rootfs) {
  const fs::path target = folder_ / "mounts" / container_id / "rootfs";
  owned_[std::string(container_id)].push_back(target.parent_path());
  COFFER_TRY_VOID(make_directories(target));
  if (mounts.empty()) COFFER_TRY_VOID(bind_mount(bundle_rootfs, target, false));
  for (const HostMount& mount : mounts) COFFER_TRY_VOID(mount_on(mount, target));
  return fmt::format("{}/{}/rootfs", kGuestShareDir, container_id);
}

Status Shares::unshare(std::string_view container_id) {
  const auto found = owned_.find(container_id);
  if (found == owned_.end()) return {};
  Status result;
  for (const fs::path& path : found->second) {
    if (auto removed = remove_tree(path); !removed) result = std::move(removed);
  }
  owned_.erase(found);
  return result;
}

Status Shares::remove() { return remove_tree(folder_); }

}  // namespace coffer::shim
