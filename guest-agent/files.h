// CopyFile: the host puts small files into the guest, in chunks, below one directory. A path with
// ".." is refused, and none is followed through a link, be it one that an earlier call made or a
// container: what is written stands where the policy saw that it would.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace grpc {
class CopyFileRequest;
}

namespace coffer::agent {

// openat2(2) with the directory `root` as the root of the walk: no link, absolute or with "..",
// leads out of it, and none of /proc's is followed.
[[nodiscard]] Result<Fd> open_in_root(int root, const std::string& path, std::uint64_t flags);

class FileReceiver {
 public:
  static constexpr std::int64_t kMaxFile = std::int64_t{1} << 30U;
  static constexpr std::size_t kMaxUnfinished = 64;

  // `root` is /run/kata-containers/shared/containers but in tests.
  explicit FileReceiver(std::filesystem::path root) : root_(std::move(root)) {}

  // One chunk. A regular file appears under its name with its last byte, never in part. Chunks come
  // in order, without gaps; offset 0 starts anew. kInvalidArgument for everything else, and for
  // kinds other than file, directory and symbolic link; kResourceExhausted past the limits above.
  [[nodiscard]] Status receive(const grpc::CopyFileRequest& request);

 private:
  struct Place {
    Fd directory;
    std::string name;
  };
  struct Upload {
    Fd directory;
    Fd file;
    std::string temp_name;
    std::int64_t size = 0;
    std::int64_t received = 0;
  };

  [[nodiscard]] Result<Place> place(const grpc::CopyFileRequest& request) const;
  [[nodiscard]] Status make_directory(const grpc::CopyFileRequest& request) const;
  [[nodiscard]] Status make_link(const grpc::CopyFileRequest& request) const;
  [[nodiscard]] Status start(const grpc::CopyFileRequest& request);
  [[nodiscard]] Status append(const grpc::CopyFileRequest& request);
  [[nodiscard]] static Status finish(const grpc::CopyFileRequest& request, const Upload& upload,
                                     const std::string& name);
  void drop(const std::string& path);

  std::filesystem::path root_;
  std::map<std::string, Upload> uploads_;  // by path
  std::uint64_t next_temp_ = 0;
};

}  // namespace coffer::agent
