#include "cli/evidence_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/fd.h"
#include "cli/command.h"

namespace coffer::cli {
namespace {

namespace fs = std::filesystem;

Result<std::vector<fs::path>> files_in(const fs::path& directory) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file()) out.push_back(it->path());
  }
  if (error) {
    return fail(Code::kUnknown, fmt::format("list '{}': {}", directory.string(), error.message()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<Bytes> read_bytes(const fs::path& path) {
  COFFER_TRY(const std::string text, read_file(path));
  return to_bytes(text);
}

Result<std::vector<fs::path>> expand_paths(const std::vector<std::string>& paths) {
  std::vector<fs::path> out;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      out.emplace_back(path);
      continue;
    }
    COFFER_TRY(std::vector<fs::path> files, files_in(path));
    std::move(files.begin(), files.end(), std::back_inserter(out));
  }
  return out;
}

Result<tee::X509Bundle> read_bundles(const std::vector<std::string>& paths) {
  tee::X509Bundle out;
  COFFER_TRY(const std::vector<fs::path> files, expand_paths(paths));
  for (const auto& file : files) {
    COFFER_TRY(const Bytes bytes, read_bytes(file));
    COFFER_TRY(tee::X509Bundle part,
               tee::parse_x509_bundle(bytes, fmt::format("'{}'", file.string())));
    std::move(part.certificates.begin(), part.certificates.end(),
              std::back_inserter(out.certificates));
    std::move(part.crls.begin(), part.crls.end(), std::back_inserter(out.crls));
  }
  return out;
}

Result<tee::UnixTime> time_option(const std::string& text) {
  if (!text.empty()) return tee::parse_rfc3339(text);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

int print_verdict(const tee::Verdict& verdict, bool json) {
  if (json) {
    fmt::print("{}\n",
               verdict.to_json().dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}", verdict.to_table());
  }
  return verdict.verified() ? kExitOk : kExitNegative;
}

}  // namespace coffer::cli
