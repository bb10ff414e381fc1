#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "guest-agent/attester/binding.h"
#include "guest-agent/attester/broker_config.h"
#include "guest-agent/attester/commands.h"

namespace coffer::attester {
namespace {

namespace fs = std::filesystem;

Status read_exactly(int fd, Bytes& out, const fs::path& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(fd, out.data() + done, out.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("read '{}'", path.string()));
    if (count == 0) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read '{}': it ends after {} bytes", path.string(), done));
    }
    done += static_cast<std::size_t>(count);
  }
  return {};
}

// Only as much as the header says, and that is bounded.
Result<std::string> read_device(const fs::path& path) {
  COFFER_TRY(const Fd device, open_file(path, O_RDONLY));
  Bytes header(initdata::kDiskHeader);
  COFFER_TRY_VOID(read_exactly(device.get(), header, path));
  COFFER_TRY(const std::size_t size, initdata::read_disk_header(header));
  Bytes packed(size);
  COFFER_TRY_VOID(read_exactly(device.get(), packed, path));
  return initdata::gunzip(packed, initdata::kMaxText);
}

Status write_entries(const fs::path& folder, std::string_view text,
                     const initdata::Initdata& data) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("make '{}'", folder.string()));
  COFFER_TRY_VOID(write_file(folder / "initdata.toml", text, 0600));
  for (const auto& [name, content] : data.data) {
    if (name == "initdata.toml") continue;
    COFFER_TRY_VOID(write_file(folder / name, content, 0600));
  }
  return {};
}

}  // namespace

Result<std::string> take_initdata(const InitdataSettings& settings) {
  const auto attester = make_attester(settings.tee.name, settings.tee.root);
  nlohmann::json out{{"digest", ""}, {"bound", false}, {"kbs", ""}, {"required", nullptr}};
  if (settings.device.empty()) {
    COFFER_TRY_VOID(check_nothing_bound(attester.get()));
    return out.dump();
  }
  COFFER_TRY(const std::string text, read_device(settings.device));
  // The digest's algorithm stands in the text itself.
  COFFER_TRY(const initdata::Initdata data, initdata::parse(text));
  const Bytes digest = initdata::digest(data.algorithm, text);
  COFFER_TRY(const bool bound, check_binding(attester.get(), digest));
  out["digest"] = to_hex(digest);
  out["bound"] = bound;
  const auto entry = [&](std::string_view name) -> std::optional<std::string_view> {
    const std::string* found = data.entry(name);
    if (found == nullptr) return std::nullopt;
    return *found;
  };
  COFFER_TRY(const BrokerConfig config,
             parse_broker_config(entry(initdata::kAaEntry), entry(initdata::kCdhEntry)));
  out["kbs"] = config.aa.url;
  if (config.aa.required) out["required"] = *config.aa.required;
  out["warnings"] = config.cdh.warnings;
  COFFER_TRY_VOID(write_entries(settings.out, text, data));
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace coffer::attester
