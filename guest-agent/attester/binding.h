// Whether the initdata that came is the initdata that the hardware was given at launch.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/attester.h"

namespace coffer::attester {

// Of "snp", "tdx" or "tpm", with the kernel's interfaces below `root`; null for another.
[[nodiscard]] std::unique_ptr<tee::Attester> make_attester(std::string_view tee,
                                                           const std::filesystem::path& root);

// SNP and TDX: `digest` must be what HOST_DATA or MRCONFIGID holds. TPM: PCR 8 is extended with it,
// so a quote tells. kPermissionDenied names what was expected and what was found. False: nothing
// binds it here (`attester` is null).
[[nodiscard]] Result<bool> check_binding(tee::Attester* attester, BytesView digest);

// There is no initdata: then none may be bound, or the host has kept it back. TPM: PCR 8 is
// extended all the same, with the digest of nothing; what runs later can no longer bring it to what
// it would be with the tenant's.
[[nodiscard]] Status check_nothing_bound(tee::Attester* attester);

}  // namespace coffer::attester
