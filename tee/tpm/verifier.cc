#include "tee/tpm/verifier.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace coffer::tpm {
namespace {

struct Auxiliary {
  Bytes signature;
  PcrBanks pcrs;
};

Result<Auxiliary> parse_auxiliary(BytesView bytes) {
  COFFER_TRY(const nlohmann::json json, parse_json(as_text(bytes), "TPM evidence"));
  if (!json.is_object() || !json.contains("signature") || !json["signature"].is_string() ||
      !json.contains("pcrs")) {
    return fail(Code::kInvalidArgument,
                "parse TPM evidence: want an object with 'signature' and 'pcrs'");
  }
  Auxiliary out;
  COFFER_TRY(out.signature, from_base64(json["signature"].get<std::string>()));
  COFFER_TRY(out.pcrs, parse_pcrs(json["pcrs"].dump()));
  return out;
}

class TpmVerifier final : public tee::Verifier {
 public:
  TpmVerifier(AttestationKey key, Expectations expectations)
      : key_(std::move(key)), expectations_(std::move(expectations)) {}

  [[nodiscard]] std::string_view tee() const override { return "tpm"; }

  [[nodiscard]] tee::Verdict verify(const tee::Evidence& evidence, BytesView report_data,
                                    tee::UnixTime /*time*/) const override {
    auto auxiliary = parse_auxiliary(evidence.auxiliary);
    Expectations want = expectations_;
    if (!report_data.empty()) want.nonce = Bytes(report_data.begin(), report_data.end());
    Evidence parts{.attest = evidence.report, .signature = {}, .pcrs = {}, .event_log = {}};
    if (auxiliary) {
      parts.signature = auxiliary->signature;
      parts.pcrs = std::move(auxiliary->pcrs);
    }
    if (!evidence.manifest.empty()) parts.event_log = evidence.manifest;
    tee::Verdict verdict = tpm::verify(parts, key_, want);
    if (!auxiliary) {
      verdict.add("evidence.auxiliary", false, "signature and PCR values",
                  auxiliary.error().message(), "tee/tpm/device.h");
    }
    return verdict;
  }

 private:
  AttestationKey key_;
  Expectations expectations_;
};

}  // namespace

std::unique_ptr<tee::Verifier> make_verifier(AttestationKey trusted_key,
                                             Expectations expectations) {
  return std::make_unique<TpmVerifier>(std::move(trusted_key), std::move(expectations));
}

}  // namespace coffer::tpm
