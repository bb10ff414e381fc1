// An SEV-SNP guest of a throwaway AMD.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "tee/emulator/guest.h"
#include "tee/emulator/snp_pki.h"

namespace coffer::emulator {

class SnpGuest final : public Guest {
 public:
  // `launch`: FakeAmd::report() with what the host and the launch decided (measurement, host data,
  // policy, ...); report data and VMPL are the request's.
  SnpGuest(FakeAmd amd, const snp::Report& launch) : amd_(std::move(amd)), launch_(launch) {}

  [[nodiscard]] std::string_view provider() const override { return "sev_guest"; }
  [[nodiscard]] bool has_privilege_levels() const override { return true; }
  [[nodiscard]] bool has_auxblob() const override { return true; }
  [[nodiscard]] OrErrno<TsmAnswer> report(BytesView inblob, unsigned privilege_level) override;

 private:
  FakeAmd amd_;
  snp::Report launch_;
};

// The launch of a JSON object on top of `amd.report(version)`: report_version, measurement,
// host_data, family_id, image_id, id_key_digest, author_key_digest (hex), policy, guest_svn
// (numbers). kInvalidArgument names an unknown key or a value of a wrong type or size.
[[nodiscard]] Result<snp::Report> snp_launch_of(const FakeAmd& amd, const nlohmann::json& object);

}  // namespace coffer::emulator
