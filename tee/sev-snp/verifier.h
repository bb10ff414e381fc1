// The SNP verifier behind the interface that every TEE has.
#pragma once

#include <memory>
#include <optional>

#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/product.h"
#include "tee/verifier.h"

namespace coffer::snp {

// Reads a report from Evidence::report and the host's certificate table from Evidence::auxiliary,
// whose certificates and revocation lists count beside those of `material` and are believed no
// more than they. A table that cannot be read is a failed check, "evidence.certificate_table".
[[nodiscard]] std::unique_ptr<tee::Verifier> make_verifier(
    TrustMaterial material, Expectations expectations,
    std::optional<Product> product = std::nullopt);

}  // namespace coffer::snp
