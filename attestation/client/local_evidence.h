// Evidence of the machine that the program runs on.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "attestation/client/evidence_source.h"

namespace coffer::client {

// `tee`: "snp", "tdx", "tpm", "sample", or "auto" for what the kernel's interfaces below `root`
// show. Never "sample" by itself: kFailedPrecondition when "auto" finds nothing.
[[nodiscard]] Result<std::unique_ptr<EvidenceSource>> make_local_source(
    std::string_view tee, const std::filesystem::path& root = "/");

}  // namespace coffer::client
