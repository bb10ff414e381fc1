#include "cli/evidence_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/fd.h"

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

// What evidence says may be any bytes.
std::string dump(const nlohmann::json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A list of values on one line; a list of objects below each other.
std::string field_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  const bool deep = value.is_structured() &&
                    std::ranges::any_of(value, [](const auto& v) { return v.is_structured(); });
  return dump(value, deep ? 2 : -1);
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
    fmt::print("{}\n", dump(verdict.to_json(), 2));
  } else {
    fmt::print("{}", printable(verdict.to_table()));
  }
  return verdict.verified() ? kExitOk : kExitNegative;
}

void print_fields(const nlohmann::json& fields, bool json) {
  if (json) {
    fmt::print("{}\n", dump(fields, 2));
    return;
  }
  std::size_t width = 0;
  for (const auto& [name, value] : fields.items()) width = std::max(width, name.size());
  for (const auto& [name, value] : fields.items()) {
    fmt::print("{:<{}}  {}\n", printable(name), width, printable(field_text(value)));
  }
}

int show_file(Args args, std::string_view tee, std::string_view help,
              Result<nlohmann::json> (*describe)(const std::string& path)) {
  std::string given;
  bool json = false;
  std::vector<std::string> files;
  Options options(fmt::format("evidence show FILE --tee {} [--json]", tee), help);
  options.value("--tee", &given, tee).flag("--json", &json, "print JSON").positional(&files);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (files.size() != 1) {
    return report(Error(Code::kInvalidArgument, "evidence show: want one file (see --help)"));
  }
  const auto fields = describe(files.front());
  if (!fields) return report(fields.error());
  print_fields(*fields, json);
  return kExitOk;
}

}  // namespace coffer::cli
