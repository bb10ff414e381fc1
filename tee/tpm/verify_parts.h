// The parts of verify(), one question a file. Internal to tee/tpm.
#pragma once

#include "tee/tpm/verify.h"

namespace coffer::tpm {

// verify_log.cc: does the log account for the quoted values of the bank, and is it the wanted boot?
void check_log(BytesView bytes, const PcrValues& values, const Expectations& want,
               tee::Verdict& verdict);

}  // namespace coffer::tpm
