// What the evidence commands of every TEE share: reading their files, and printing verdicts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
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

}  // namespace coffer::cli
