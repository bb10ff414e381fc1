// What the evidence commands of every TEE share: reading their files, and printing verdicts.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "cli/command.h"
#include "tee/utc_time.h"
#include "tee/verdict.h"
#include "tee/x509_bundle.h"

namespace coffer::cli {

// A file's bytes, at most 64 MiB.
[[nodiscard]] Result<Bytes> read_bytes(const std::filesystem::path& path);
// Every file of `paths`; a directory stands for the regular files in it, in the order of names.
[[nodiscard]] Result<std::vector<std::filesystem::path>> expand_paths(
    const std::vector<std::string>& paths);
// PEM or DER certificates and revocation lists out of files and directories.
[[nodiscard]] Result<tee::X509Bundle> read_bundles(const std::vector<std::string>& paths);
// --time, or now when it is empty.
[[nodiscard]] Result<tee::UnixTime> time_option(const std::string& text);

// Prints the verdict to stdout; the exit status: verified or not.
[[nodiscard]] int print_verdict(const tee::Verdict& verdict, bool json);

// Prints the members of an object to stdout: as JSON, or one a line below each other.
void print_fields(const nlohmann::json& fields, bool json);

// `evidence show FILE --tee TEE [--json]` from its arguments to the exit status: prints what
// `describe` says of the file.
[[nodiscard]] int show_file(Args args, std::string_view tee, std::string_view help,
                            Result<nlohmann::json> (*describe)(const std::string& path));

}  // namespace coffer::cli
