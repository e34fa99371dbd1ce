"""The pseries machine as data: releases, machine types, capabilities, processors, compat modes, hosts."""
