// The folder of the host that the guest sees (virtio-9p or virtio-fs). Laid out as Kata's:
//   ROOT/<sandbox>/mounts   where things are bound; a shared mount
//   ROOT/<sandbox>/shared   a read-only view of it, which is what is exported: the guest writes
//                           into the mounts, never beside them
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shim/sandbox/mounts.h"

namespace coffer::shim {

inline constexpr std::string_view kShareRoot = "/run/kata-containers/shared/sandboxes";

class Shares {
 public:
  // Makes the folders and their mounts, in this process' mount namespace.
  [[nodiscard]] static Result<Shares> create(const std::filesystem::path& root,
                                             std::string_view sandbox_id);

  Shares(Shares&&) noexcept = default;
  Shares& operator=(Shares&&) noexcept = default;
  Shares(const Shares&) = delete;
  Shares& operator=(const Shares&) = delete;
  // Does not unmount: see remove().
  ~Shares() = default;

  // What QEMU or virtiofsd exports.
  [[nodiscard]] std::filesystem::path exported() const { return folder_ / "shared"; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  // Binds a file or folder of the host for a container; returns its path in the guest.
  [[nodiscard]] Result<std::string> share(std::string_view container_id,
                                          const std::filesystem::path& source,
                                          std::string_view destination, bool read_only);
  // Mounts a container's root file system for the guest; returns its path there. Without mounts,
  // `bundle_rootfs` is bound.
  [[nodiscard]] Result<std::string> mount_rootfs(std::string_view container_id,
                                                 std::span<const HostMount> mounts,
                                                 const std::filesystem::path& bundle_rootfs);
  // Unmounts and removes what a container had.
  [[nodiscard]] Status unshare(std::string_view container_id);
  // Unmounts and removes everything.
  [[nodiscard]] Status remove();

 private:
  explicit Shares(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path folder_;
  std::map<std::string, std::vector<std::filesystem::path>, std::less<>> owned_;
  std::uint64_t next_ = 0;
};

// "<container>-<16 hex>-<last component of destination>": Kata's naming of a shared volume.
[[nodiscard]] std::string share_name(std::string_view container_id, std::uint64_t number,
                                     std::string_view destination);

}  // namespace coffer::shim
