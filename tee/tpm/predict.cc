#include "tee/tpm/predict.h"

#include "tee/eventlog/boot_events.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

class Register {
 public:
  explicit Register(Alg bank) : bank_(bank), value_(eventlog::alg_size(bank).value_or(0)) {}

  Status extend(Result<Bytes> digest) {
    if (!digest) return std::unexpected(std::move(digest).error());
    COFFER_TRY(value_, eventlog::extend(bank_, value_, *digest));
    return {};
  }
  [[nodiscard]] const Bytes& value() const { return value_; }

 private:
  Alg bank_;
  Bytes value_;
};

// Option ROMs and manufacturer control: nothing but the separator at ready-to-boot.
Result<Bytes> separator_only(Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(out.extend(eventlog::separator_digest(bank)));
  return out.value();
}

Result<Bytes> boot_manager_code(const DirectBoot& boot, Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(out.extend(eventlog::authenticode(bank, boot.kernel)));
  COFFER_TRY_VOID(out.extend(eventlog::action_digest(bank, eventlog::kCallingEfiApplication)));
  COFFER_TRY_VOID(out.extend(eventlog::separator_digest(bank)));
  return out.value();
}

Result<Bytes> boot_manager_data(Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(out.extend(eventlog::separator_digest(bank)));
  COFFER_TRY_VOID(out.extend(eventlog::action_digest(bank, eventlog::kExitBootServices)));
  COFFER_TRY_VOID(out.extend(eventlog::action_digest(bank, eventlog::kExitBootServicesSuccess)));
  return out.value();
}

Result<Bytes> linux_stub(const DirectBoot& boot, Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(
      out.extend(eventlog::load_options_digest(bank, boot.command_line, boot.initrd.has_value())));
  if (boot.initrd) COFFER_TRY_VOID(out.extend(eventlog::hash(bank, *boot.initrd)));
  return out.value();
}

}  // namespace

Result<PcrValues> predict_pcrs(const DirectBoot& boot, Alg bank,
                               const eventlog::EventLog* reference) {
  PcrValues out;
  for (const unsigned pcr : {2U, 3U, 6U}) {
    COFFER_TRY(out[pcr], separator_only(bank));
  }
  COFFER_TRY(out[4], boot_manager_code(boot, bank));
  COFFER_TRY(out[5], boot_manager_data(bank));
  COFFER_TRY(out[9], linux_stub(boot, bank));
  if (reference == nullptr) return out;
  COFFER_TRY(auto registers, eventlog::replay(*reference, bank));
  for (const unsigned pcr : {0U, 1U, 7U}) {
    const auto it = registers.find(pcr);
    if (it != registers.end()) out[pcr] = std::move(it->second);
  }
  return out;
}

}  // namespace coffer::tpm
