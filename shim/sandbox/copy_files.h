// Files and folders of the host, copied into the guest when it shares no file system with us.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "shim/sandbox/agent_client.h"

namespace coffer::shim {

class FileCopier {
 public:
  // A frame holds 4 MiB; a chunk leaves room for the rest of its request.
  static constexpr std::size_t kChunk = std::size_t{1} << 20U;
  // Of one mount: its files together, and how many names and levels it may have.
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30U;
  static constexpr std::size_t kMaxEntries = 65536;
  static constexpr int kMaxDepth = 32;

  // `agent` must outlive the copier.
  explicit FileCopier(AgentClient& agent) : agent_(agent) {}

  // Copies `source` to `target` (an absolute guest path) with its modes, owners and symbolic links.
  // False: it is neither file, folder nor link, and nothing was copied; inside a folder such things
  // are passed over. kResourceExhausted past the limits.
  [[nodiscard]] Task<Result<bool>> copy(std::filesystem::path source, std::string target);

 private:
  Task<Result<bool>> copy_one(std::filesystem::path source, std::string target, bool follow);
  Task<Status> copy_file(std::filesystem::path source, std::string target);

  AgentClient& agent_;
  std::uint64_t bytes_ = 0;
  std::size_t entries_ = 0;
};

// The storage of a kubelet's emptyDir: in guest memory when it is a tmpfs on the host, a folder of
// the guest when it is on disk and nothing is shared, else left without a driver.
void ephemeral_storage(const std::string& source, bool shared, grpc::Storage& storage);

}  // namespace coffer::shim
