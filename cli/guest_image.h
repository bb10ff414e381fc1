// `coffer guest-image build`.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command guest_image_build();

}  // namespace coffer::cli
