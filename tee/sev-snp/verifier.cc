#include "tee/sev-snp/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/verify.h"

namespace coffer::snp {
namespace {

constexpr std::size_t kReportData = 64;

Result<tee::X509Bundle> supplied(BytesView table) {
  COFFER_TRY(const auto entries, parse_cert_table(table));
  return certificates_of(entries);
}

class SnpVerifier final : public tee::Verifier {
 public:
  SnpVerifier(TrustMaterial material, Expectations expectations, std::optional<Product> product)
      : material_(std::move(material)), expectations_(std::move(expectations)), product_(product) {}

  [[nodiscard]] std::string_view tee() const override { return "snp"; }

  [[nodiscard]] tee::Verdict verify(const tee::Evidence& evidence, BytesView report_data,
                                    tee::UnixTime time) const override {
    TrustMaterial material = material_;
    auto bundle = supplied(evidence.auxiliary);
    if (bundle) {
      std::ranges::move(bundle->certificates, std::back_inserter(material.certificates));
      std::ranges::move(bundle->crls, std::back_inserter(material.crls));
    }
    Expectations want = expectations_;
    const bool fits = report_data.size() <= kReportData;
    if (!report_data.empty() && fits) {
      want.report_data.emplace(report_data.begin(), report_data.end()).resize(kReportData);
    }
    tee::Verdict verdict = snp::verify({.report = evidence.report,
                                        .material = material,
                                        .expectations = want,
                                        .time = time,
                                        .product = product_});
    if (!bundle) {
      verdict.add("evidence.certificate_table", false, "a certificate table, or none",
                  bundle.error().message(), "GHCB 56421 section 4.1.8.1");
    }
    if (!fits) {
      verdict.add("expect.report_data", false, "at most 64 bytes",
                  fmt::format("{} bytes", report_data.size()), "expectation");
    }
    return verdict;
  }

 private:
  TrustMaterial material_;
  Expectations expectations_;
  std::optional<Product> product_;
};

}  // namespace

std::unique_ptr<tee::Verifier> make_verifier(TrustMaterial material, Expectations expectations,
                                             std::optional<Product> product) {
  return std::make_unique<SnpVerifier>(std::move(material), std::move(expectations), product);
}

}  // namespace coffer::snp
