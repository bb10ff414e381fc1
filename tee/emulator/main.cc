// coffer-tee-emulator: a TEE for development, of a throwaway vendor. Lives in the dev guest image.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/fd.h"
#include "tee/emulator/guest_file.h"
#include "tee/emulator/kernel_tree_fuse.h"

namespace {

using namespace coffer;

constexpr std::string_view kUsage =
    "usage: coffer-tee-emulator make snp|tdx|tpm DAYS FOLDER\n"
    "       coffer-tee-emulator serve GUEST.json MOUNT-POINT\n\n"
    "make: a new vendor and a guest of it: guest.json, and root.pem for who wants to trust it.\n"
    "serve: mounts the part of /sys through which a guest's kernel gives reports; prints\n"
    "\"mounted\" when it stands, and serves it until it is ended.\n";

Status make(std::string_view tee, std::string_view days_text, const std::filesystem::path& folder) {
  constexpr int kMaxDays = 36500;
  int days = 0;
  const auto [at, error] =
      std::from_chars(days_text.data(), days_text.data() + days_text.size(), days);
  if (error != std::errc() || at != days_text.data() + days_text.size() || days < 1 ||
      days > kMaxDays) {
    return fail(Code::kInvalidArgument, fmt::format("days '{}': want 1..{}", days_text, kMaxDays));
  }
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  // A guest's clock may be an hour behind.
  constexpr int kHour = 3600, kDay = 86400;
  COFFER_TRY(const auto files,
             emulator::make_guest(tee, now - kHour, now + std::int64_t{days} * kDay));
  for (const auto& file : files) {
    const auto path = folder / file.name;
    std::error_code failure;
    std::filesystem::create_directories(path.parent_path(), failure);
    if (failure) return fail_errno(failure.value(), fmt::format("make '{}'", folder.string()));
    COFFER_TRY_VOID(write_file(path, as_text(file.content), file.secret ? 0600 : 0644));
  }
  return {};
}

Status serve(const std::filesystem::path& file, const std::filesystem::path& mount_point) {
  COFFER_TRY(const std::string json, read_file(file));
  COFFER_TRY(auto guest, emulator::load_guest(json));
  emulator::KernelTree tree(std::move(guest));
  return emulator::serve_kernel_tree(tree, mount_point, [] {
    fmt::print("mounted\n");
    std::fflush(stdout);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  Status status;
  if (args.size() == 4 && args[0] == "make") {
    status = make(args[1], args[2], args[3]);
  } else if (args.size() == 3 && args[0] == "serve") {
    status = serve(args[1], args[2]);
  } else {
    const bool help = args.size() == 1 && args[0] == "--help";
    fmt::print(help ? stdout : stderr, "{}", kUsage);
    return help ? 0 : 2;
  }
  if (status) return 0;
  fmt::print(stderr, "coffer-tee-emulator: {}\n", status.error().to_string());
  return 1;
}
