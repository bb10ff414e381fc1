#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tee/tpm/device.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

constexpr std::size_t kMaxLog = std::size_t{4} << 20U;
constexpr std::size_t kMaxCertificate = std::size_t{64} << 10U;

std::vector<PcrSelection> all_of_sha256() {
  PcrSelection selection{.bank = Alg::kSha256, .pcrs = {}};
  for (unsigned pcr = 0; pcr < kPcrCount; ++pcr) selection.pcrs.insert(pcr);
  return {selection};
}

std::string auxiliary(const Bytes& ak, const Bytes& signature, const PcrBanks& banks,
                      std::string_view certificate) {
  nlohmann::json out = {{"ak_public", to_base64(ak)},
                        {"signature", to_base64(signature)},
                        {"pcrs", nlohmann::json::object()}};
  if (!certificate.empty()) out["ak_certificate"] = to_base64(as_bytes(certificate));
  for (const auto& [bank, values] : banks) {
    for (const auto& [pcr, value] : values) {
      out["pcrs"][std::string(eventlog::alg_name(bank))][fmt::to_string(pcr)] = to_hex(value);
    }
  }
  return out.dump();
}

// Empty when it is not there.
Result<std::string> read_optional(const std::filesystem::path& path, std::size_t limit) {
  if (path.empty()) return std::string();
  auto text = read_file(path, limit);
  if (!text && text.error().code() == Code::kNotFound) return std::string();
  return text;
}

class TpmAttester final : public tee::Attester {
 public:
  explicit TpmAttester(DeviceSettings settings) : settings_(std::move(settings)) {
    if (settings_.selections.empty()) settings_.selections = all_of_sha256();
  }

  [[nodiscard]] std::string_view tee() const override { return "tpm"; }

  [[nodiscard]] Result<tee::Evidence> evidence(BytesView report_data) override {
    COFFER_TRY(Tpm tpm, Tpm::open(settings_.tcti));
    COFFER_TRY(const Bytes ak, tpm.create_ak());
    COFFER_TRY(SignedQuote quote, tpm.quote(report_data, settings_.selections));
    // Read after the quote: an extend in between shows as a digest that does not match.
    COFFER_TRY(const PcrBanks pcrs, tpm.read_pcrs(settings_.selections));
    COFFER_TRY(const std::string certificate,
               read_optional(settings_.ak_certificate, kMaxCertificate));
    COFFER_TRY(const std::string log, read_optional(settings_.event_log, kMaxLog));
    tee::Evidence evidence;
    evidence.tee = tee();
    evidence.report = std::move(quote.attest);
    evidence.auxiliary = to_bytes(auxiliary(ak, quote.signature, pcrs, certificate));
    evidence.manifest = to_bytes(log);
    return evidence;
  }

  [[nodiscard]] Status extend(unsigned index, BytesView digest) override {
    COFFER_TRY(Tpm tpm, Tpm::open(settings_.tcti));
    return tpm.extend(index, settings_.selections.front().bank, digest);
  }

  [[nodiscard]] Result<Bytes> host_bound_data() override {
    return fail(Code::kUnimplemented, "host-bound data: a TPM has none of its own");
  }

 private:
  DeviceSettings settings_;
};

}  // namespace

std::unique_ptr<tee::Attester> make_attester(DeviceSettings settings) {
  return std::make_unique<TpmAttester>(std::move(settings));
}

}  // namespace coffer::tpm
