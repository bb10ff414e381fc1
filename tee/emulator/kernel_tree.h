// The part of a guest's file system through which its kernel speaks of attestation, with an
// emulated guest behind it: below its root stand sys/kernel/config/tsm/report and, for a guest with
// runtime measurement registers, sys/devices/virtual/misc/tdx_guest/measurements. So the settings
// of an attester are those of a machine, below another root (tee::DevicePaths::below).
//
// File operations without a file system: kernel_tree_fuse.h mounts it. Not for several threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tee/emulator/tsm_entry.h"

namespace coffer::emulator {

struct NodeInfo {
  bool directory = false;
  unsigned mode = 0;  // permission bits
};

class KernelTree {
 public:
  // Paths are absolute within the tree: "/sys/kernel/config/tsm/report/a/inblob".
  explicit KernelTree(std::unique_ptr<Guest> guest);

  [[nodiscard]] OrErrno<NodeInfo> info(std::string_view path) const;
  [[nodiscard]] OrErrno<std::vector<std::string>> list(std::string_view path) const;
  // Requests below tsm/report only; EPERM elsewhere, as in configfs.
  [[nodiscard]] OrErrno<void> make_directory(std::string_view path);
  [[nodiscard]] OrErrno<void> remove_directory(std::string_view path);

  // A handle for the operations below.
  [[nodiscard]] OrErrno<std::uint64_t> open(std::string_view path, Access access);
  [[nodiscard]] OrErrno<Bytes> read(std::uint64_t handle, std::uint64_t offset, std::size_t size);
  [[nodiscard]] OrErrno<std::size_t> write(std::uint64_t handle, std::uint64_t offset,
                                           BytesView bytes);
  // At close(2): hands over a binary attribute. What the provider says to it is lost, as it is in
  // configfs: a refused write shows when the report is read.
  void flush(std::uint64_t handle);
  void release(std::uint64_t handle) { handles_.erase(handle); }

 private:
  using Entry = std::shared_ptr<TsmEntry>;  // shared: an open file outlives its directory

  // What a path names.
  struct Node {
    NodeInfo info = {};
    Entry entry = {};            // of an attribute
    std::string file = {};       // an attribute's or a measurement's name
    bool binary = false;         // see TsmAttribute
    std::string directory = {};  // a request's directory, for rmdir
  };
  struct Handle {
    Node node = {};
    Access access = Access::kRead;
    bool loaded = false, pending = false;
    Bytes content = {};
  };

  [[nodiscard]] OrErrno<Node> find(std::string_view path) const;
  [[nodiscard]] OrErrno<Node> find_request(std::string_view rest) const;
  [[nodiscard]] OrErrno<Node> find_measurement(std::string_view name) const;
  [[nodiscard]] OrErrno<void> store(const Node& node, BytesView bytes);

  std::unique_ptr<Guest> guest_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::uint64_t, Handle> handles_;
  std::uint64_t next_handle_ = 1;
};

}  // namespace coffer::emulator
