#include "tee/tpm/predict.h"

#include "tee/eventlog/boot_events.h"
#include "tee/eventlog/qemu_kernel.h"

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

Result<Bytes> kernel_digest(const DirectBoot& boot, Alg bank) {
  if (!boot.patched_for_memory) return eventlog::authenticode(bank, boot.kernel);
  eventlog::QemuDirectBoot qemu{
      .memory = *boot.patched_for_memory, .initrd_size = {}, .command_line = boot.command_line};
  if (boot.initrd) qemu.initrd_size = boot.initrd->size();
  COFFER_TRY(const Bytes patched, eventlog::qemu_patched_kernel(boot.kernel, qemu));
  return eventlog::authenticode(bank, patched);
}

Result<BootDigests> boot_digests(const DirectBoot& boot, Alg bank) {
  BootDigests out;
  COFFER_TRY(out.kernel, kernel_digest(boot, bank));
  COFFER_TRY(out.command_line,
             eventlog::load_options_digest(bank, boot.command_line, boot.initrd.has_value()));
  if (boot.initrd) {
    COFFER_TRY(out.initrd, eventlog::hash(bank, *boot.initrd));
  }
  return out;
}

Result<Bytes> boot_manager_code(const BootDigests& boot, Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(out.extend(boot.kernel));
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

Result<Bytes> linux_stub(const BootDigests& boot, Alg bank) {
  Register out(bank);
  COFFER_TRY_VOID(out.extend(boot.command_line));
  if (boot.initrd) COFFER_TRY_VOID(out.extend(*boot.initrd));
  return out.value();
}

Result<PcrValues> predict(const BootDigests& boot, Alg bank, const eventlog::EventLog* reference) {
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

}  // namespace

Result<PcrValues> predict_pcrs(const DirectBoot& boot, Alg bank,
                               const eventlog::EventLog* reference) {
  COFFER_TRY(const BootDigests digests, boot_digests(boot, bank));
  return predict(digests, bank, reference);
}

Status expect_boot(const DirectBoot& boot, const eventlog::EventLog* reference,
                   Expectations& expectations) {
  COFFER_TRY(BootDigests digests, boot_digests(boot, expectations.bank));
  COFFER_TRY(auto values, predict(digests, expectations.bank, reference));
  // What the caller has asked for by value stands.
  expectations.values.merge(values);
  expectations.boot = std::move(digests);
  return {};
}

}  // namespace coffer::tpm
