// A TD of a throwaway Intel, with its runtime measurement registers.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "tee/emulator/guest.h"
#include "tee/emulator/tdx_pki.h"

namespace coffer::emulator {

class TdxGuest final : public Guest {
 public:
  // `launch`: FakeIntel::quote_spec() with what the host and the launch decided in its TD body.
  TdxGuest(FakeIntel intel, QuoteSpec launch)
      : intel_(std::move(intel)), launch_(std::move(launch)) {}

  [[nodiscard]] std::string_view provider() const override { return "tdx_guest"; }
  [[nodiscard]] bool has_privilege_levels() const override { return false; }
  [[nodiscard]] bool has_auxblob() const override { return false; }
  [[nodiscard]] OrErrno<TsmAnswer> report(BytesView inblob, unsigned privilege_level) override;

  // As Linux 6.16 shows them: mrtd:sha384, mrconfigid, mrowner, mrownerconfig, rtmr0:sha384 to
  // rtmr3:sha384; the last two can be extended.
  [[nodiscard]] std::vector<MeasurementFile> measurements() const override;
  [[nodiscard]] OrErrno<Bytes> measurement(std::string_view name) const override;
  [[nodiscard]] OrErrno<void> extend(std::string_view name, BytesView digest) override;

 private:
  FakeIntel intel_;
  QuoteSpec launch_;
};

// The launch of a JSON object on top of `intel.quote_spec()`: mr_td, mr_config_id, mr_owner,
// mr_owner_config, rtmr_0 to rtmr_3, td_attributes, xfam (hex). kInvalidArgument names an unknown
// key or a value of a wrong type or size.
[[nodiscard]] Result<QuoteSpec> tdx_launch_of(const FakeIntel& intel, const nlohmann::json& object);

}  // namespace coffer::emulator
