#include "tee/tdx/verifier.h"

#include <fmt/format.h>

#include <algorithm>

#include "tee/tdx/verify.h"

namespace coffer::tdx {
namespace {

class TdxVerifier final : public tee::Verifier {
 public:
  TdxVerifier(CollateralSet collateral, Expectations expectations)
      : collateral_(std::move(collateral)), expectations_(std::move(expectations)) {}

  [[nodiscard]] std::string_view tee() const override { return "tdx"; }

  [[nodiscard]] tee::Verdict verify(const tee::Evidence& evidence, BytesView report_data,
                                    tee::UnixTime time) const override {
    Expectations want = expectations_;
    Evidence input{.quote = evidence.report, .event_log = {}};
    if (!evidence.manifest.empty()) input.event_log = evidence.manifest;
    const bool fits = report_data.size() <= want.report_data.emplace().size();
    if (fits) std::ranges::copy(report_data, want.report_data->begin());
    if (report_data.empty()) want.report_data = expectations_.report_data;
    tee::Verdict verdict = tdx::verify(input, collateral_, want, time);
    if (!fits) {
      verdict.add("expect.report_data", false, "at most 64 bytes",
                  fmt::format("{} bytes", report_data.size()), "expectation");
    } else if (!want.report_data) {
      verdict.add_waived("expect.report_data", "not compared", "no report data was given");
    }
    return verdict;
  }

 private:
  CollateralSet collateral_;
  Expectations expectations_;
};

}  // namespace

std::unique_ptr<tee::Verifier> make_verifier(CollateralSet collateral, Expectations expectations) {
  return std::make_unique<TdxVerifier>(std::move(collateral), std::move(expectations));
}

}  // namespace coffer::tdx
