#include "attestation/kbs/trust.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "tee/x509_bundle.h"

namespace coffer::kbs {
namespace {

namespace fs = std::filesystem;

// A file, or every file of a folder, in the order of their names.
Result<std::vector<fs::path>> files_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return std::vector<fs::path>{path};
  std::vector<fs::path> out;
  for (fs::recursive_directory_iterator it(path, error), end; it != end && !error;
       it.increment(error)) {
    if (it->is_regular_file(error)) out.push_back(it->path());
  }
  if (error) return fail_errno(error.value(), fmt::format("read folder '{}'", path));
  std::ranges::sort(out);
  return out;
}

Result<tee::X509Bundle> read_bundle(const std::vector<std::string>& paths) {
  tee::X509Bundle out;
  for (const auto& path : paths) {
    COFFER_TRY(const auto files, files_of(path));
    for (const auto& file : files) {
      COFFER_TRY(const std::string text, read_file(file));
      COFFER_TRY(auto bundle, tee::parse_x509_bundle(as_bytes(text), file.string()));
      std::ranges::move(bundle.certificates, std::back_inserter(out.certificates));
      std::ranges::move(bundle.crls, std::back_inserter(out.crls));
    }
  }
  return out;
}

Result<std::string> first_of(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return read_file(folder / name);
  }
  return fail(Code::kNotFound,
              fmt::format("read collateral '{}': there is no {}", folder.string(), *names.begin()));
}

// The layout of `coffer evidence verify --collateral`.
Result<tdx::CollateralInput> read_collateral(const fs::path& folder) {
  tdx::CollateralInput input;
  COFFER_TRY(input.tcb_info, first_of(folder, {"tcb_info.json"}));
  COFFER_TRY(input.qe_identity, first_of(folder, {"qe_identity.json"}));
  COFFER_TRY(const auto chain, first_of(folder, {"tcb_signing_chain.pem"}));
  COFFER_TRY(const auto root_crl, first_of(folder, {"root_ca_crl.der", "root_ca_crl.pem"}));
  COFFER_TRY(const auto pck_crl, first_of(folder, {"pck_crl.der", "pck_crl.pem"}));
  input.tcb_signing_chain = to_bytes(chain);
  input.root_ca_crl = to_bytes(root_crl);
  input.pck_crl = to_bytes(pck_crl);
  const auto issuer = first_of(folder, {"pck_crl_issuer_chain.pem"});
  if (issuer) input.pck_crl_issuer_chain = to_bytes(*issuer);
  return input;
}

Status add_tdx(const Config& config, appraisal::TrustConfig& out) {
  for (const auto& folder : config.tdx_collateral_dirs) {
    COFFER_TRY(auto input, read_collateral(folder));
    COFFER_TRY(auto anchors, load_tdx_anchors(config));
    auto set = tdx::CollateralSet::prepare(std::move(input), std::move(anchors));
    if (set.tcb_info() == nullptr) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read collateral '{}': tcb_info.json cannot be read", folder));
    }
    const std::string fmspc = to_hex(set.tcb_info()->fmspc);
    if (!out.tdx.emplace(fmspc, std::move(set)).second) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read collateral '{}': FMSPC {} was read before", folder, fmspc));
    }
  }
  return {};
}

}  // namespace

Result<tdx::TrustAnchors> load_tdx_anchors(const Config& config) {
  COFFER_TRY(auto roots, read_bundle(config.tdx_roots));
  if (roots.certificates.empty()) return tdx::TrustAnchors();
  return tdx::TrustAnchors(std::move(roots.certificates));
}

Result<appraisal::TrustConfig> load_trust(const Config& config) {
  appraisal::TrustConfig out;
  out.allow_sample = config.allow_sample;
  out.snp_require_crl = config.snp_require_crl;
  COFFER_TRY(auto roots, read_bundle(config.snp_roots));
  COFFER_TRY(auto others, read_bundle(config.snp_certificates));
  out.snp.trusted_roots = std::move(roots.certificates);
  out.snp.certificates = std::move(others.certificates);
  out.snp.crls = std::move(others.crls);
  COFFER_TRY_VOID(add_tdx(config, out));
  COFFER_TRY(auto tpm_roots, read_bundle(config.tpm_roots));
  out.tpm_roots = std::move(tpm_roots.certificates);
  return out;
}

}  // namespace coffer::kbs
