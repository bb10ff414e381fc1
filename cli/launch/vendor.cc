#include "cli/launch/vendor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "tee/emulator/guest_file.h"

namespace coffer::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kYear = std::int64_t{365} * 24 * kHour;

Status make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("make folder '{}'", folder.string()));
  return {};
}

Status make_vendor(const fs::path& folder, std::string_view tee) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  // A guest's clock may be behind.
  COFFER_TRY(const auto files, emulator::make_guest(tee, now - kHour, now + kYear));
  // The keys last: who finds them finds the rest.
  for (const bool keys : {false, true}) {
    for (const auto& file : files) {
      if (file.secret != keys) continue;
      COFFER_TRY_VOID(make_folder((folder / file.name).parent_path()));
      COFFER_TRY_VOID(
          write_file_atomic(folder / file.name, as_text(file.content), file.secret ? 0600 : 0644));
    }
  }
  return {};
}

}  // namespace

Result<nlohmann::json> load_vendor(const fs::path& folder, std::string_view tee) {
  const fs::path mine = folder / tee;
  COFFER_TRY_VOID(make_folder(mine));
  COFFER_TRY(const Fd lock, open_file(mine / ".lock", O_RDWR | O_CREAT, 0600));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(errno, fmt::format("lock '{}'", mine.string()));
  }
  const fs::path file = mine / "guest.json";
  std::error_code failed;
  if (!fs::exists(file, failed)) COFFER_TRY_VOID(make_vendor(mine, tee));
  COFFER_TRY(const std::string text, read_file(file));
  COFFER_TRY(const nlohmann::json guest, parse_json(text, file.string()));
  const auto pki = guest.find("pki");
  if (pki != guest.end() && pki->is_object()) return *pki;
  return fail(Code::kInvalidArgument, fmt::format("read '{}': it has no 'pki'", file.string()));
}

}  // namespace coffer::launch
