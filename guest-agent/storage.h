// What the host asks to be mounted for the pod or a container. A storage's key is its mount point:
// the same one asked for again is only counted, and it goes when the last container that asked is
// removed. Another one at that mount point, or around it, is refused: a container would get what
// was meant for another, or what the policy has not seen for it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"

namespace grpc {
class Storage;
}

namespace coffer::agent {

class ChildRegistry;
class DeviceFinder;
class Modules;

// Puts an image's root filesystem at bundle/rootfs. Implemented where images are pulled; the agent
// without it answers kUnimplemented.
class ImageStore {
 public:
  ImageStore() = default;
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;
  virtual ~ImageStore() = default;

  // `metadata` is what the host says of the image; nothing in it is trusted.
  [[nodiscard]] virtual Task<Status> pull(std::string reference,
                                          std::map<std::string, std::string> metadata,
                                          std::filesystem::path bundle) = 0;
};

struct StoragePaths {
  std::filesystem::path base = "/run/kata-containers";
  std::filesystem::path pause_bundle = "/pause_bundle";
};

class Storages {
 public:
  // All must outlive it; `images` may be null.
  Storages(const asio::any_io_executor& executor, StoragePaths paths, DeviceFinder& devices,
           ChildRegistry& children, Modules& modules, ImageStore* images, Logger log);

  // Mounts each, in order. `container_id` is empty for the sandbox's; `pause`: the container is the
  // pod's own, as its annotations say, which the policy sees. On an error those of this call that
  // were mounted are released again. kInvalidArgument names both of two that are in each other's
  // way.
  [[nodiscard]] Task<Result<std::vector<std::string>>> add_all(std::vector<grpc::Storage> storages,
                                                               std::string container_id,
                                                               bool pause);
  // Takes back what add_all returned. Errors are logged: the container is gone anyway.
  void release(const std::vector<std::string>& mount_points);

  // UpdateEphemeralMounts: mounts or remounts one tmpfs with its options.
  [[nodiscard]] Status update_ephemeral(const grpc::Storage& storage);

  // Sorted; what GetGuestDetails reports.
  [[nodiscard]] static std::vector<std::string> drivers();

 private:
  struct Entry {
    int users = 0;
    std::string storage;   // as it was asked for, serialised
    std::string name;      // for messages
    bool keep = false;     // until the end of the virtual machine
    bool mounted = false;  // by us: unmount at the end
  };

  // True: it is there already.
  [[nodiscard]] Result<bool> is_there(const grpc::Storage& storage, const std::string& key,
                                      const std::string& bytes) const;
  // Mounts, after loading the file system's module.
  [[nodiscard]] Status plain_mount(const grpc::Storage& storage, const std::string& source,
                                   const std::string& type);
  [[nodiscard]] Status mount_ephemeral(const grpc::Storage& storage);
  [[nodiscard]] Task<Result<bool>> mount_one(const grpc::Storage& storage,
                                             const std::string& container_id, bool pause);
  [[nodiscard]] Task<Result<bool>> mount_block(const grpc::Storage& storage, std::string device);
  [[nodiscard]] Task<Result<bool>> pull_image(const grpc::Storage& storage,
                                              const std::string& container_id, bool pause);
  [[nodiscard]] Result<bool> mount_overlay(const grpc::Storage& storage,
                                           const std::string& container_id);

  StoragePaths paths_;
  DeviceFinder& devices_;
  ChildRegistry& children_;
  Modules& modules_;
  ImageStore* images_;
  Logger log_;
  AsyncMutex turn_;  // one add_all at a time: two that name the same mount point must not race
  std::map<std::string, Entry> entries_;  // by mount point, without a slash at its end
};

// True for the pod's own (pause) container, by the annotations of containerd and CRI-O.
[[nodiscard]] bool is_sandbox_container(const std::map<std::string, std::string>& annotations);

}  // namespace coffer::agent
