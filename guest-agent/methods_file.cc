#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/fd.h"
#include "base/utf8.h"
#include "guest-agent/attestation.h"
#include "guest-agent/files.h"
#include "guest-agent/methods.h"
#include "guest-agent/mounts.h"
#include "guest-agent/sandbox.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

using Empty = google::protobuf::Empty;
namespace fs = std::filesystem;

constexpr const char* kSharedDir = "/run/kata-containers/shared/containers";

void add_usage(grpc::VolumeStatsResponse& response, grpc::VolumeUsage_Unit unit,
               std::uint64_t total, std::uint64_t available, std::uint64_t unused) {
  auto& usage = *response.add_usage();
  usage.set_unit(unit);
  usage.set_total(total);
  usage.set_available(available);
  usage.set_used(total - unused);
}

Result<grpc::VolumeStatsResponse> volume_stats(const std::string& path) {
  COFFER_TRY_VOID(check_path(path, "volume path"));
  COFFER_TRY(const auto fd, open_file(path, O_PATH));
  struct statfs info{};
  if (::fstatfs(fd.get(), &info) != 0) return fail_errno(errno, fmt::format("statfs '{}'", path));
  const auto block = static_cast<std::uint64_t>(info.f_bsize);
  grpc::VolumeStatsResponse response;
  add_usage(response, grpc::VolumeUsage_Unit_BYTES, info.f_blocks * block, info.f_bavail * block,
            info.f_bfree * block);
  add_usage(response, grpc::VolumeUsage_Unit_INODES, info.f_files, info.f_ffree, info.f_ffree);
  response.mutable_volume_condition()->set_message("OK");
  return response;
}

// Whatever the policy says: a swap device is the host's, and would hold what the guest's memory
// holds, which is encrypted to keep the host from reading it.
Status check_swap(const Sandbox& sandbox) {
  if (!is_encrypting_tee(sandbox.tee())) return {};
  return fail(
      Code::kFailedPrecondition,
      fmt::format("add swap: this guest runs in a TEE ({}), whose memory the host would read "
                  "from the swap device; this agent does not encrypt swap (turn the "
                  "runtime's guest swap off for this class)",
                  sandbox.tee()));
}

Status swap_on(const std::string& path) {
  COFFER_TRY_VOID(check_path(path, "swap path"));
  if (::swapon(path.c_str(), 0) != 0) return fail_errno(errno, fmt::format("swap on '{}'", path));
  return {};
}

Task<Result<Empty>> add_swap(Sandbox& sandbox, grpc::AddSwapRequest request) {
  COFFER_CO_TRY_VOID(check_swap(sandbox));
  std::string pci_path;
  for (const auto slot : request.pcipath())
    pci_path += fmt::format("{}{:02x}", pci_path.empty() ? "" : "/", slot);
  auto device = co_await sandbox.devices().block_by_pci_path(std::move(pci_path));
  if (!device) co_return fail(std::move(device).error());
  COFFER_CO_TRY_VOID(swap_on(*device));
  co_return Empty();
}

// A file of the share, empty when it is none. Others are not the host's to read: a mounted secret
// that the agent has opened, a file of a volume.
std::string shared_file(const std::string& path, std::size_t limit) {
  const std::string below = std::string(kSharedDir) + "/";
  const auto root = open_file(kSharedDir, O_PATH | O_DIRECTORY);
  if (!root || !path.starts_with(below)) return {};
  const auto fd = open_in_root(root->get(), path.substr(below.size()),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat info{};
  if (!fd || ::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  std::string text(limit, '\0');
  const auto got = ::read(fd->get(), text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

// The file behind the mount that the container knows as its termination message.
std::string termination_log(const Container& container) {
  constexpr std::size_t kMaxLog = 4096;
  const auto& spec = container.spec();
  const auto wanted = spec.annotations().find("io.kubernetes.container.terminationMessagePath");
  if (wanted == spec.annotations().end()) return {};
  for (const auto& mount : spec.mounts())
    if (mount.destination() == wanted->second) return shared_file(mount.source(), kMaxLog);
  return {};
}

// A proto3 string must be UTF-8; what is not becomes '?'.
std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_sequence_length(text);
    if (length == 0)
      out += '?';
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

Result<grpc::GetDiagnosticDataResponse> diagnostics(Sandbox& sandbox,
                                                    const grpc::GetDiagnosticDataRequest& request) {
  if (request.log_type() != "termination_log")
    return fail(Code::kInvalidArgument, fmt::format("get diagnostic data '{}': want "
                                                    "termination_log",
                                                    request.log_type()));
  const auto container = sandbox.find(request.container_id());
  if (!container)
    return fail(Code::kInternal, fmt::format("get diagnostic data: invalid container id '{}'",
                                             request.container_id()));
  grpc::GetDiagnosticDataResponse response;
  response.set_data(to_valid_utf8(termination_log(*container)));
  return response;
}

// A stat makes the virtio-fs client drop what the host has removed.
void touch_shared_mounts() {
  std::error_code error;
  for (auto it = fs::directory_iterator(kSharedDir, error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    struct stat info{};
    std::ignore = ::stat(it->path().c_str(), &info);
  }
}

}  // namespace

void add_file_methods(Registrar& registrar, Sandbox& sandbox) {
  // Shared: std::function wants to be copyable; there is one receiver.
  const auto receiver = std::make_shared<FileReceiver>(kSharedDir);
  registrar.add<grpc::CopyFileRequest, Empty>(
      "CopyFile", [receiver](Authorized<grpc::CopyFileRequest> request) -> Task<Result<Empty>> {
        COFFER_CO_TRY_VOID(receiver->receive(*request));
        co_return Empty();
      });
  registrar.add<grpc::VolumeStatsRequest, grpc::VolumeStatsResponse>(
      "GetVolumeStats",
      [](Authorized<grpc::VolumeStatsRequest> request) -> Task<Result<grpc::VolumeStatsResponse>> {
        co_return volume_stats(request->volume_guest_path());
      });
  registrar.add<grpc::ResizeVolumeRequest, Empty>(
      "ResizeVolume", [](Authorized<grpc::ResizeVolumeRequest> request) -> Task<Result<Empty>> {
        co_return fail(Code::kUnimplemented,
                       fmt::format("resize volume '{}': not supported by this agent",
                                   request->volume_guest_path()));
      });
  registrar.add<grpc::AddSwapRequest, Empty>("AddSwap",
                                             [&sandbox](Authorized<grpc::AddSwapRequest> request) {
                                               return add_swap(sandbox, std::move(request).take());
                                             });
  registrar.add<grpc::AddSwapPathRequest, Empty>(
      "AddSwapPath",
      [&sandbox](Authorized<grpc::AddSwapPathRequest> request) -> Task<Result<Empty>> {
        COFFER_CO_TRY_VOID(check_swap(sandbox));
        COFFER_CO_TRY_VOID(swap_on(request->path()));
        co_return Empty();
      });
  registrar.add<grpc::GetDiagnosticDataRequest, grpc::GetDiagnosticDataResponse>(
      "GetDiagnosticData",
      [&sandbox](Authorized<grpc::GetDiagnosticDataRequest> request)
          -> Task<Result<grpc::GetDiagnosticDataResponse>> {
        co_return diagnostics(sandbox, *request);
      });
  registrar.add<grpc::RemoveStaleVirtiofsShareMountsRequest, Empty>(
      "RemoveStaleVirtiofsShareMounts",
      [](Authorized<grpc::RemoveStaleVirtiofsShareMountsRequest> /*request*/)
          -> Task<Result<Empty>> {
        touch_shared_mounts();
        co_return Empty();
      });
}

}  // namespace coffer::agent
