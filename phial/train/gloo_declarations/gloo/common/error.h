#pragma once  // nothing of it is needed: README.md
